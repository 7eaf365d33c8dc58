"""Who am I, and let me be somebody else."""

from .lab import dumps

ROLE = "arn:aws:iam::{}:role/portcullis"

# What narrows or marks a session: refused, or taken and not enforced when a switch says so.
NARROWER = {
    "Policy": dumps({"Version": "2012-10-17", "Statement": []}),
    "PolicyArns": [{"arn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}],
    "Tags": [{"Key": "team", "Value": "edge"}],
    "TransitiveTagKeys": ["team"],
}


def check(lab):
    me, other = lab.party(), lab.party()
    found = me.sts.get_caller_identity()
    lab.that("who I am", (found["Account"], found["Arn"]), (me.account, f"arn:aws:iam::{me.account}:root"))
    lab.that("an account's id", found["UserId"], me.account)
    role = ROLE.format(other.account)
    asked = {"RoleArn": role, "RoleSessionName": "conformance", "DurationSeconds": 900, "ExternalId": "other"}
    assume = me.sts.assume_role
    made = assume(**asked)
    lab.that("nobody behind it", "SourceIdentity" in made, False)
    session = session_of(lab, made)
    seen = session.get_caller_identity()
    wanted = (other.account, f"arn:aws:sts::{other.account}:assumed-role/portcullis/conformance")
    lab.that("who I am now", (seen["Account"], seen["Arn"]), wanted)
    lab.that("as said before", (made["AssumedRoleUser"]["Arn"], made["AssumedRoleUser"]["AssumedRoleId"]), (seen["Arn"], seen["UserId"]))
    lab.control("POST", "/roles", {"role_arn": role, "external_id": "secret"})
    lab.refused("AccessDenied", assume, 403, **asked)
    lab.refused("AccessDenied", assume, 403, RoleArn=role, RoleSessionName="conformance")
    assume(**(asked | {"ExternalId": "secret"}))
    with lab.behavior(assume_unknown_roles=False):
        lab.refused("AccessDenied", assume, 403, **(asked | {"RoleArn": role + "-2"}))
    for wrong in (
        {"DurationSeconds": 899},
        {"DurationSeconds": 43_201},
        {"RoleArn": "portcullis"},
        {"RoleArn": role.replace(":role/", ":user/")},
        {"RoleSessionName": "x"},
        {"RoleSessionName": "a b"},
        {"RoleSessionName": "x" * 65},
        {"ExternalId": "x"},
        {"ExternalId": "a b"},
        {"ExternalId": "x" * 1_225},
        {"SourceIdentity": "x"},
    ):
        lab.refused("ValidationError", assume, 400, **(asked | wrong))
    lab.refused("MissingParameter", assume, 400, RoleArn=role)
    identities(lab, me, asked | {"ExternalId": "secret"})
    narrower(lab, assume, asked | {"ExternalId": "secret"})
    with lab.fault(account=me.account, effect="throttle"):
        lab.refused("Throttling", assume, 400, **asked)
    with lab.fault(action="GetCallerIdentity", account=me.account, effect="deny_action"):
        lab.refused("AccessDenied", me.sts.get_caller_identity, 403)
    made = assume(**(asked | {"ExternalId": "secret"}))
    session = session_of(lab, made)
    lab.advance(899_000)
    session.get_caller_identity()
    lab.advance(1_000)
    lab.refused("ExpiredToken", session.get_caller_identity, 400)
    me.sts.get_caller_identity()


def session_of(lab, made):
    keys = made["Credentials"]
    return lab.client("sts", keys["AccessKeyId"], aws_secret_access_key=keys["SecretAccessKey"], aws_session_token=keys["SessionToken"])


def identities(lab, me, asked):
    """A source identity stays with the session and with those that it opens."""
    made = me.sts.assume_role(**asked, SourceIdentity="alice")
    lab.that("alice", made["SourceIdentity"], "alice")
    session = session_of(lab, made)
    lab.that("still alice", session.assume_role(**asked)["SourceIdentity"], "alice")
    lab.refused("AccessDenied", session.assume_role, 403, **asked, SourceIdentity="bob")


def narrower(lab, assume, asked):
    for name, value in NARROWER.items():
        said = lab.refused("UnsupportedOperation", assume, 400, **asked, **{name: value})
        lab.that("by its name", name in said, True)
    with lab.behavior(accept_session_policies=True):
        assume(**asked, **NARROWER)
    assume(**asked)
