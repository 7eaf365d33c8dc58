"""Signatures: presigned GetCallerIdentity, keys whose secret is known, session tokens, and the switch that checks everybody or nobody."""

import datetime
import urllib.error
import urllib.parse
import urllib.request

import botocore.auth
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from _world import request as ask

from .lab import HOME

WELL_KNOWN = "privatelink-sim-secret"
IDENTITY = "Action=GetCallerIdentity&Version=2011-06-15"


def check(lab):
    account = lab.account()
    key = {"access_key": f"AKIA{account}", "secret": "conformance-secret", "account": account}
    arn = f"arn:aws:iam::{account}:user/signer"
    lab.control("POST", "/keys", key | {"arn": arn})
    # botocore signs by the machine's clock, and a presigned request is judged by the simulated one.
    now = datetime.datetime.fromisoformat(lab.control("GET", "/clock")["now"].replace("Z", "+00:00"))
    good = Credentials(key["access_key"], key["secret"])
    presigned(lab, good, account, arn, now)
    headers(lab, key, account, arn, now)
    session(lab, now)
    switches(lab, key, now)


def code(text):
    return text.split("<Code>")[1].split("</Code>")[0] if "<Code>" in text else ""


def send(lab, request):
    """As it was signed, but to the simulator. The status and the body."""
    where = urllib.parse.urlsplit(request.url)
    url = f"{lab.url}{where.path}" + (f"?{where.query}" if where.query else "")
    # The length is that of the body as it is sent, which may not be the one that was signed.
    headers = {name: value for name, value in request.headers.items() if name.lower() != "content-length"}
    made = urllib.request.Request(url, data=request.body or None, method=request.method, headers=headers)
    made.add_header("Host", where.netloc)
    try:
        with urllib.request.urlopen(made, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def sign(credentials, at, kind, service="sts", method="GET", query=IDENTITY, data=b"", headers=None, **more):
    """A request that botocore signed at this time."""
    request = AWSRequest(method, f"https://{service}.{HOME}.amazonaws.com/" + (f"?{query}" if query else ""), headers=headers or {}, data=data)
    signer = kind(credentials, service, HOME, **more)

    # botocore asks nobody for the time, so it is told here.
    kept = botocore.auth.get_current_datetime
    botocore.auth.get_current_datetime = lambda *_, **__: at.replace(tzinfo=None)
    try:
        signer.add_auth(request)
    finally:
        botocore.auth.get_current_datetime = kept
    return request.prepare()


def answers(lab, what, request, status, wanted):
    found, text = send(lab, request)
    if found == 200:
        lab.that(what, (found, wanted in text), (status, True))
    else:
        lab.that(what, (found, code(text)), (status, wanted))
        service = "ec2" if "ec2." in request.url else "sts"
        lab.judge.codes.setdefault((service, wanted), set()).add(found)
    return text


def presigned(lab, good, account, arn, now):
    make = lambda at=now, expires=60, by=good, **more: sign(by, at, SigV4QueryAuth, expires=expires, **more)  # noqa: E731
    text = answers(lab, "good", make(), 200, arn)
    lab.that("whose", f"<Account>{account}</Account>" in text, True)
    answers(lab, "as POST", make(method="POST"), 200, arn)
    answers(lab, "with a header", make(headers={"x-cluster": "one"}), 200, arn)
    refusal = lambda what, request, wanted="SignatureDoesNotMatch", status=403: answers(lab, what, request, status, wanted)  # noqa: E731
    second = datetime.timedelta(seconds=1)
    answers(lab, "in its last second", make(now - 59 * second), 200, arn)
    refusal("expired", make(now - 61 * second))
    refusal("not yet", make(now + 901 * second))
    answers(lab, "for a week", make(now - 604_799 * second, 604_800), 200, arn)
    refusal("for longer", make(expires=604_801), "IncompleteSignature", 400)
    refusal("another secret", make(by=Credentials(good.access_key, "wrong")))
    for old, new in (("X-Amz-Expires=60", "X-Amz-Expires=61"), (HOME, "eu-west-2"), ("GetCallerIdentity", "AssumeRole"), ("X-Amz-Signature=", "X-Amz-Signature=0")):
        request = make()
        head, query = request.url.split("?")
        request.url = f"{head}?{query.replace(old, new)}"
        refusal(f"{old} as {new}", request)
    request = make(headers={"x-cluster": "one"})
    request.headers["x-cluster"] = "two"
    refusal("another header", request)
    request = make(headers={"x-cluster": "one"})
    del request.headers["x-cluster"]
    refusal("without the header that was signed", request)
    request = make()
    request.url = request.url.replace("X-Amz-SignedHeaders=host", "X-Amz-SignedHeaders=")
    lab.that("nothing signed", send(lab, request)[0] in (400, 403), True)
    # Of a stranger nothing but the form is known.
    stranger = Credentials("AKIASTRANGER", "any")
    answers(lab, "a stranger's", make(by=stranger), 200, "<Account>000000000000</Account>")
    refusal("a stranger's, expired", make(now - 61 * second, by=stranger))
    # The identity does not make the request's clock: the simulated one does.
    late = make()
    lab.advance(61_000)
    refusal("expired by the simulated clock", late)


def headers(lab, key, account, arn, now):
    """Signed in the header: boto3 itself, and what botocore signed and somebody changed."""
    client = lambda secret: lab.client("sts", key["access_key"], aws_secret_access_key=secret)  # noqa: E731
    found = client(key["secret"]).get_caller_identity()
    lab.that("who", (found["Account"], found["Arn"], found["UserId"][:4]), (account, arn, "AIDA"))
    lab.refused("SignatureDoesNotMatch", client("wrong").get_caller_identity, 403)
    lab.refused("SignatureDoesNotMatch", lab.client("sqs", key["access_key"], aws_secret_access_key="wrong").list_queues, 403)
    lab.client("sqs", key["access_key"], aws_secret_access_key=key["secret"]).list_queues()
    form = {"content-type": "application/x-www-form-urlencoded"}
    post = lambda at, service, data: sign(  # noqa: E731
        Credentials(key["access_key"], key["secret"]), at, SigV4Auth, service, "POST", "", data.encode(), dict(form)
    )
    answers(lab, "a form", post(now, "sts", IDENTITY), 200, arn)
    changed = post(now, "sts", IDENTITY)
    changed.body = (IDENTITY + "&Nonsense=1").encode()
    answers(lab, "another body", changed, 403, "SignatureDoesNotMatch")
    year = datetime.timedelta(days=365)
    answers(lab, "a year ago", post(now - year, "sts", IDENTITY), 403, "SignatureDoesNotMatch")
    answers(lab, "a year ago, EC2", post(now - year, "ec2", "Action=DescribeVpcs&Version=2016-11-15"), 400, "RequestExpired")
    # JSON for SQS, signed for somebody else.
    status, head, text = lab.post(b"{}", "sts", account, headers={"x-amz-target": "AmazonSQS.ListQueues", "content-type": "application/x-amz-json-1.0"})
    lab.that("SQS with a signature for STS", (status, "InvalidSignatureException" in text), (403, True))
    lab.judge.codes.setdefault(("sqs", "InvalidSignatureException"), set()).add(status)


def session(lab, now):
    """Keys of AssumeRole are checked with their token."""
    me, other = lab.party(), lab.account()
    made = me.sts.assume_role(RoleArn=f"arn:aws:iam::{other}:role/signer", RoleSessionName="signed")
    keys = made["Credentials"]
    client = lambda secret, token: lab.client("sts", keys["AccessKeyId"], aws_secret_access_key=secret, aws_session_token=token)  # noqa: E731
    found = client(keys["SecretAccessKey"], keys["SessionToken"]).get_caller_identity()
    lab.that("the session", (found["Account"], found["Arn"]), (other, made["AssumedRoleUser"]["Arn"]))
    lab.refused("SignatureDoesNotMatch", client("wrong", keys["SessionToken"]).get_caller_identity, 403)
    lab.refused("InvalidClientTokenId", client(keys["SecretAccessKey"], "wrong").get_caller_identity, 403)
    lab.refused("InvalidClientTokenId", client(keys["SecretAccessKey"], None).get_caller_identity, 403)
    at = datetime.datetime.fromisoformat(lab.control("GET", "/clock")["now"].replace("Z", "+00:00"))
    whole = Credentials(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
    answers(lab, "presigned by a session", sign(whole, at, SigV4QueryAuth, expires=60), 200, found["Arn"])
    bare = Credentials(keys["AccessKeyId"], keys["SecretAccessKey"])
    answers(lab, "without its token", sign(bare, at, SigV4QueryAuth, expires=60), 403, "InvalidClientTokenId")


def switches(lab, key, now):
    me = lab.account()
    with lab.behavior(check_signatures="all"):
        lab.client("sts", me, aws_secret_access_key=WELL_KNOWN).get_caller_identity()
        lab.refused("SignatureDoesNotMatch", lab.client("sts", me).get_caller_identity, 403)
        lab.refused("InvalidClientTokenId", lab.client("sts", "AKIANOBODY").get_caller_identity, 403)
        lab.client("sts", key["access_key"], aws_secret_access_key=key["secret"]).get_caller_identity()
    with lab.behavior(check_signatures="none"):
        lab.client("sts", key["access_key"], aws_secret_access_key="wrong").get_caller_identity()
        old = sign(Credentials("AKIASTRANGER", "x"), now - datetime.timedelta(days=365), SigV4QueryAuth, expires=1)
        answers(lab, "nothing is checked", old, 200, "000000000000")
    for bad in ({"access_key": "", "secret": "x"}, {"access_key": "a/b", "secret": "x"}, {"access_key": "a b", "secret": "x"}):
        status, _, _ = ask("POST", f"{lab.url}/_sim/keys", bad | {"account": me})
        lab.that(f"no key: {bad}", status, 400)
