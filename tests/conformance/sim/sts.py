"""Who am I, and let me be somebody else."""

ROLE = "arn:aws:iam::{}:role/portcullis"


def check(lab):
    me, other = lab.party(), lab.party()
    found = me.sts.get_caller_identity()
    lab.that("who I am", (found["Account"], found["Arn"]), (me.account, f"arn:aws:iam::{me.account}:root"))
    role = ROLE.format(other.account)
    asked = {"RoleArn": role, "RoleSessionName": "conformance", "DurationSeconds": 900, "ExternalId": "other"}
    made = me.sts.assume_role(**asked)
    keys = made["Credentials"]
    session = lab.client(
        "sts", keys["AccessKeyId"], aws_secret_access_key=keys["SecretAccessKey"], aws_session_token=keys["SessionToken"]
    )
    seen = session.get_caller_identity()
    lab.that("who I am now", (seen["Account"], seen["Arn"]), (other.account, made["AssumedRoleUser"]["Arn"]))
    lab.control("POST", "/roles", {"role_arn": role, "external_id": "secret"})
    lab.refused("AccessDenied", me.sts.assume_role, 403, **asked)
    lab.refused("ValidationError", me.sts.assume_role, 400, **(asked | {"DurationSeconds": 1}))
    lab.refused("ValidationError", me.sts.assume_role, 400, **(asked | {"RoleArn": "portcullis"}))
    with lab.fault(action="GetCallerIdentity", account=me.account, effect="deny_action"):
        lab.refused("AccessDenied", me.sts.get_caller_identity, 403)
    lab.advance(901_000)
    lab.refused("ExpiredToken", session.get_caller_identity)
    me.sts.get_caller_identity()
