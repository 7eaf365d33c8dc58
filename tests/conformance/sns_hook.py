"""SNS posts to `/hooks/sns`: boto3 subscribes it, the program confirms, hears of a consumer, and refuses everything that was altered."""

import json

from _program import DataDir, Failed, demo, expect, passed, run, wait_for
from _world import PROVIDER, REGION, Rest, Sim, register, request
from sim.hook import Hook

CONSUMER = "777777777777"
TOPIC_NAME = "portcullis-connections"


def check():
    with DataDir() as data, demo(data) as running, Hook() as spy:
        ready = running.ready_line()
        api, rest, sim = ready["api"], Rest(ready["api"], ready["admin_token"]), Sim(ready["sim"])
        service = register(rest, sim)
        topic = make_topic(sim)
        subscribe(sim, topic, api, spy)
        message = notified(sim, service, topic, api, spy)
        attacks(api, message)
        unsubscribed(sim, topic, api)
        running.stop()


def outcomes(api):
    """What became of messages, by the program's own count."""
    _, _, text = request("GET", f"{api}/metrics")
    found = {}
    for line in text.splitlines():
        if line.startswith("portcullis_sns_messages_total{"):
            found[line.split('"')[1]] = int(line.rsplit(" ", 1)[1])
    return found


def wait_for_outcome(api, outcome, count=1):
    _, took = wait_for(f"a message that is {outcome}", lambda: outcomes(api).get(outcome, 0) >= count, 20)
    return took


def make_topic(sim):
    sns = sim.client("sns", PROVIDER)
    topic = sns.create_topic(Name=TOPIC_NAME)["TopicArn"]
    policy = {
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "vpce.amazonaws.com"},
                "Action": "SNS:Publish",
                "Resource": topic,
            }
        ]
    }
    for name, value in (("SignatureVersion", "2"), ("Policy", json.dumps(policy))):
        sns.set_topic_attributes(TopicArn=topic, AttributeName=name, AttributeValue=value)
    return topic


def subscribe(sim, topic, api, spy):
    sns = sim.client("sns", PROVIDER)
    sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=f"{api}/hooks/sns")
    took = wait_for_outcome(api, "confirmed")
    passed(f"the subscription is confirmed after {took:.2f} s")
    sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=spy.url)
    _, asked = heard(spy)
    sns.confirm_subscription(TopicArn=topic, Token=asked["Token"])
    arns = [row["SubscriptionArn"] for row in http_subscriptions(sns, topic)]
    expect("SNS lists both as confirmed", [arn.startswith("arn:") for arn in arns], [True, True])


def subscriptions(sns, topic, protocol):
    rows = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    return [row for row in rows if row["Protocol"] == protocol]


def http_subscriptions(sns, topic):
    """Those that this script made: the worker has its queue there as well."""
    return subscriptions(sns, topic, "http")


def heard(spy):
    _, head, body = spy.heard.get(timeout=20)
    return head, json.loads(body)


def notified(sim, service, topic, api, spy):
    ec2 = sim.client("ec2", PROVIDER)
    of_service = [{"Name": "service-id", "Values": [service["aws_service_id"]]}]

    def look():
        rows = ec2.describe_vpc_endpoint_connection_notifications(Filters=of_service)["ConnectionNotificationSet"]
        return [row["ConnectionNotificationArn"] for row in rows] == [topic]

    wait_for("the worker having AWS tell of connections", look, 20)
    # The worker's queue hears the same messages, and whichever comes first is the one that is stored: leave the hook as the only road.
    sns = sim.client("sns", PROVIDER)
    for row in subscriptions(sns, topic, "sqs"):
        sns.unsubscribe(SubscriptionArn=row["SubscriptionArn"])
    sim.interface_endpoint(CONSUMER, service["service_name"], REGION)
    took = wait_for_outcome(api, "stored")
    passed(f"the consumer's request is stored as a hint after {took:.2f} s")
    _, message = heard(spy)
    expect("the spy heard the same", message["Type"], "Notification")
    return message


def post(api, message, kind=None, **headers):
    head = {"content-type": "text/plain; charset=UTF-8", "x-amz-sns-message-type": kind or message["Type"], **headers}
    status, answered, body = request("POST", f"{api}/hooks/sns", json.dumps(message).encode(), head)
    if not isinstance(body, dict):
        raise Failed(f"{status}: {body}")
    return status, body.get("outcome", body.get("code")), answered


def attacks(api, message):
    expect("the message itself is known already", post(api, message)[:2], (200, "repeated"))
    invalid, malformed = (403, "sns_signature_invalid"), (400, "sns_message_malformed")
    host = f"https://sns.{REGION}.amazonaws.com"
    certificate = message["SigningCertURL"]
    for what, changed, wanted in (
        ("another text", {"Message": message["Message"] + " "}, invalid),
        ("another id", {"MessageId": "00000000-0000-4000-8000-000000000000"}, invalid),
        ("a subject", {"Subject": "x"}, invalid),
        ("another version", {"SignatureVersion": "1"}, invalid),
        ("no signature", {"Signature": ""}, invalid),
        ("another host", {"SigningCertURL": certificate.replace(host, "https://evil.example")}, invalid),
        ("a look-alike", {"SigningCertURL": certificate.replace(host, f"{host}.evil.example")}, invalid),
        ("plain HTTP", {"SigningCertURL": certificate.replace("https", "http")}, invalid),
        ("a port", {"SigningCertURL": certificate.replace(host, f"{host}:8443")}, invalid),
        ("an old time", {"Timestamp": "2020-01-01T00:00:00.000Z"}, (403, "sns_message_too_old")),
        ("another topic", {"TopicArn": message["TopicArn"] + "2"}, (403, "sns_topic_not_allowed")),
        ("another account", {"TopicArn": message["TopicArn"].replace(PROVIDER, CONSUMER)}, (403, "sns_topic_not_allowed")),
        ("an unknown type", {"Type": "Gossip"}, malformed),
        ("a number as text", {"Message": 7}, malformed),
    ):
        expect(f"{what} is refused", post(api, {**message, **changed}, "Notification")[:2], wanted)
    raw = post(api, message, **{"x-amz-sns-rawdelivery": "true"})
    expect("raw delivery is refused", raw[:2], malformed)
    unknown = certificate[: -len("00000000.pem")] + "00000000.pem"
    status, code, answered = post(api, {**message, "SigningCertURL": unknown})
    expect("a certificate that SNS has not comes again", (status, code), (503, "unavailable"))
    expect("and is told when", answered["retry-after"], "10")
    status, _, problem = request("POST", f"{api}/hooks/sns", b" " * 300_000, {"x-amz-sns-message-type": "Notification"})
    expect("300 kB are refused", (status, problem["code"]), (413, "payload_too_large"))
    expect("nothing of it was stored", outcomes(api)["stored"], 1)


def unsubscribed(sim, topic, api):
    sns = sim.client("sns", PROVIDER)
    for row in http_subscriptions(sns, topic):
        if row["Endpoint"].startswith(api):
            sns.unsubscribe(SubscriptionArn=row["SubscriptionArn"])
    wait_for_outcome(api, "ended")
    left = [row["Endpoint"] for row in http_subscriptions(sns, topic)]
    expect("its end is noted and not undone", [url.startswith(api) for url in left], [False])


run(check)
