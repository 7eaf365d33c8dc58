"""Whatever is wrong with a request, the answer has the right status, is a problem, and has a stable code."""

import base64
import http.client
import json
import time
import urllib.parse

from cryptography.hazmat.primitives.serialization import load_pem_private_key

from _program import DataDir, demo, expect, run, token
from _world import PROVIDER, REGION, Rest, Sim, register, request, request_connection

NO_SUCH_CONNECTION = "con_00000000000070008000000000000000"
NO_SUCH_SERVICE = "svc_00000000000070008000000000000000"
REASON = {"reason": "Because"}


def expired(good, key_file):
    """The same token, signed by the same key, that has ended an hour ago."""

    def decoded(part):
        return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))

    def encoded(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    header, claims, _ = good.split(".")
    past = int(time.time()) - 7_200
    claims = {**decoded(claims), "iat": past, "nbf": past, "exp": past + 3_600}
    signed = f"{header}.{encoded(json.dumps(claims).encode())}"
    key = load_pem_private_key(key_file.read_bytes(), None)
    return f"{signed}.{encoded(key.sign(signed.encode()))}"


def refuse(what, answer, status, code, field=None):
    """Checks one refusal, all of it."""
    found, headers, body = answer
    shape = body if isinstance(body, dict) else {}
    expect(what, (found, headers.get("content-type"), shape.get("code")), (status, "application/problem+json", code))
    missing = {"type", "title", "status", "detail", "code", "request_id"} - shape.keys()
    if missing or shape["status"] != status or shape["request_id"] != headers.get("x-request-id"):
        expect(f"{what}: a whole problem", shape, "all members, with the status and request id of the headers")
    if field is not None:
        expect(f"{what}: {field} is blamed", [error["field"] for error in shape.get("errors", [])], [field])


def check():
    with DataDir() as data, demo(data) as running:
        ready = running.ready_line()
        admin, sim = Rest(ready["api"], ready["admin_token"]), Sim(ready["sim"])
        service = register(admin, sim)
        connection, _ = request_connection(admin, sim, "222222222222", service)
        accept = f"/v1/connections/{connection['id']}/accept"

        values(admin)
        tokens(ready, data / "development-issuer.pem", accept)
        bodies(admin, accept)
        expect("all of that decided nothing", admin.get(f"/v1/connections/{connection['id']}")["summary"], "waiting")
        states(admin, sim, service, connection)
        expect("it still serves", request("GET", f"{ready['api']}/readyz")[0], 200)


def values(admin):
    def new_service(**changes):
        body = {"account_id": PROVIDER, "region": REGION, "name": "Another"}
        return admin.call("POST", "/v1/services", {**body, **changes})

    refuse(
        "a malformed ARN",
        new_service(load_balancer_arns=["arn:aws:nonsense"]),
        400,
        "invalid_request",
        "load_balancer_arns[0]",
    )
    refuse(
        "a malformed service id", new_service(aws_service_id="vpce-svc-XYZ"), 400, "invalid_request", "aws_service_id"
    )
    refuse(
        "an account that is not registered",
        new_service(account_id="000000000009", aws_service_id="vpce-svc-00000000000000001"),
        404,
        "account_region_not_found",
    )
    refuse("an unknown service", admin.call("GET", f"/v1/services/{NO_SUCH_SERVICE}"), 404, "service_not_found")
    refuse(
        "an unknown connection",
        admin.call("POST", f"/v1/connections/{NO_SUCH_CONNECTION}/accept", REASON),
        404,
        "connection_not_found",
    )
    refuse("the id of something else", admin.call("GET", f"/v1/services/{NO_SUCH_CONNECTION}"), 400, "invalid_path")
    refuse("a misspelt filter", admin.call("GET", "/v1/connections?sumary=waiting"), 400, "invalid_query")
    refuse("an unknown path", admin.call("GET", "/v1/nothing"), 404, "not_found")
    refuse("a wrong method", admin.call("DELETE", "/v1/connections"), 405, "method_not_allowed")


def tokens(ready, key_file, accept):
    url = ready["api"] + accept

    def accept_with(authorization):
        return request("POST", url, REASON, {"authorization": authorization} if authorization else {})

    refuse("no token", accept_with(None), 401, "unauthenticated")
    refuse("another scheme", accept_with("Basic YTpi"), 401, "unauthenticated")
    refuse("an altered token", accept_with(f"Bearer {ready['admin_token'][:-8]}AAAAAAAA"), 401, "unauthenticated")
    refuse("an expired token", accept_with(f"Bearer {expired(ready['admin_token'], key_file)}"), 401, "token_expired")
    viewer = Rest(ready["api"], token(key_file, "viewer"))
    refuse("a viewer who tries to accept", viewer.call("POST", accept, REASON), 403, "forbidden")
    expect("a viewer may read", viewer.call("GET", "/v1/connections")[0], 200)
    approver = Rest(ready["api"], token(key_file, "approver"))
    refuse("an approver who tries to register", approver.call("POST", "/v1/account-regions", {}), 403, "forbidden")


def bodies(admin, accept):
    def send(body, content_type):
        headers = {"authorization": f"Bearer {admin.token}"}
        if content_type:
            headers["content-type"] = content_type
        return send_raw(admin.api, accept, body, headers)

    big = json.dumps({"reason": "x" * 2 * 1024 * 1024}).encode()
    good = json.dumps(REASON).encode()
    refuse("a body of 2 MB", send(big, "application/json"), 413, "payload_too_large")
    refuse("a wrong content type", send(good, "text/plain"), 415, "unsupported_media_type")
    refuse("a form", send(b"reason=Because", "application/x-www-form-urlencoded"), 415, "unsupported_media_type")
    refuse("no content type", send(good, None), 415, "unsupported_media_type")
    refuse("not JSON", send(b"{", "application/json"), 400, "invalid_json")
    refuse("not UTF-8", send(b'{"reason":"\xff"}', "application/json"), 400, "invalid_json")
    refuse("a missing member", send(b"{}", "application/json"), 400, "invalid_json")
    refuse("an unknown member", send(b'{"reason":"Because","force":true}', "application/json"), 400, "invalid_json")
    refuse("an empty reason", send(b'{"reason":" "}', "application/json"), 400, "invalid_request", "reason")


def send_raw(api, path, body, headers):
    """One POST on a connection of its own, with these headers and no others that matter."""
    address = urllib.parse.urlsplit(api)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=10)
    try:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, json.loads(answer.read())
    finally:
        connection.close()


def states(admin, sim, service, connection):
    def decide(verb, which=connection):
        return admin.call("POST", f"/v1/connections/{which['id']}/{verb}", REASON)

    refuse("revoking what is waiting", decide("revoke"), 409, "connection_not_revocable")
    refuse(
        "retrying what is not stalled",
        admin.call("POST", f"/v1/connections/{connection['id']}/retry-sync"),
        409,
        "connection_not_stalled",
    )
    expect("the first acceptance", decide("accept")[0], 200)
    refuse("the second acceptance", decide("accept"), 409, "connection_already_decided")
    refuse("rejecting what is accepted", decide("reject"), 409, "connection_already_decided")
    gone, _ = request_connection(admin, sim, "333333333333", service)
    sim.client("ec2", "333333333333").delete_vpc_endpoints(VpcEndpointIds=[gone["endpoint_id"]])
    admin.wait_for_summary(gone["id"], "deleted", 10)
    refuse("accepting what the consumer deleted", decide("accept", gone), 409, "connection_closed")
    place = {"account_id": PROVIDER, "region": REGION}
    refuse("registering a place twice", admin.call("POST", "/v1/account-regions", place), 409, "account_region_exists")
    twice = {**place, "name": "Twice", "aws_service_id": service["aws_service_id"]}
    refuse("registering a service twice", admin.call("POST", "/v1/services", twice), 409, "service_exists")


run(check)
