"""SNS over HTTP: confirmation, signatures, retries by the simulated clock, slow endpoints, dead letters, links to leave."""

import json

from _program import wait_for

from .hook import Hook, follow, verify
from .lab import dumps

AGENT = "Amazon Simple Notification Service Agent"


def check(lab):
    me = lab.party()
    with Hook() as hook:
        topic, subscription = life(lab, me, hook)
        retries(lab, me, hook, topic, subscription)
        slowness(lab, me, hook, topic)
        policies(lab, me, hook, topic, subscription)
        raw(lab, me, hook, topic, subscription)
        version_two(lab, me, hook)
        expiry(lab, me, hook)
        guarded(lab, me, hook)
    refusals(lab, me)


def owed(lab, topic):
    """How often each message of a topic was tried that still waits for its next attempt."""
    waiting = lab.control("GET", "/snapshot")["world"]["messaging"]["deliveries"]["waiting"].values()
    return [row["attempts"] for row in waiting if row["topic_arn"] == topic]


def until_owed(lab, topic, attempts):
    wait_for(f"{attempts} attempts for {topic}", lambda: owed(lab, topic) == attempts, 10)


def subscribe(me, hook, name, **attributes):
    topic = me.sns.create_topic(Name=name, Attributes=attributes)["TopicArn"]
    answer = me.sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=hook.url)
    return topic, answer["SubscriptionArn"]


def confirmed(lab, me, hook, name, **attributes):
    topic, _ = subscribe(me, hook, name, **attributes)
    _, asked = hook.envelope()
    return topic, me.sns.confirm_subscription(TopicArn=topic, Token=asked["Token"])["SubscriptionArn"], asked


def life(lab, me, hook):
    topic, shown = subscribe(me, hook, "hooks")
    lab.that("it waits", shown, "pending confirmation")
    path, head, body = hook.next()
    asked = json.loads(body)
    lab.that("where and how", (path, head["content-type"], head["user-agent"]), ("/hook", "text/plain; charset=UTF-8", AGENT))
    lab.that("as what", (head["x-amz-sns-message-type"], asked["Type"]), ("SubscriptionConfirmation",) * 2)
    lab.that("of which topic", (head["x-amz-sns-topic-arn"], asked["TopicArn"]), (topic, topic))
    lab.that("which message", head["x-amz-sns-message-id"], asked["MessageId"])
    lab.that("no subscription yet", "x-amz-sns-subscription-arn" in head, False)
    wanted = {"Type", "MessageId", "Token", "TopicArn", "Message", "SubscribeURL", "Timestamp", "SignatureVersion", "Signature", "SigningCertURL"}
    lab.that("all of it", set(asked), wanted)
    verify(lab, asked, "1")
    listed = me.sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    lab.that("listed as waiting", [row["SubscriptionArn"] for row in listed], ["PendingConfirmation"])
    me.sns.publish(TopicArn=topic, Message="too early")
    status, text = follow(lab, asked["SubscribeURL"])
    lab.that("confirmed by the link", (status, "<ConfirmSubscriptionResult>" in text), (200, True))
    subscription = me.sns.list_subscriptions()["Subscriptions"][0]["SubscriptionArn"]
    lab.that("nobody knew who it was", attributes(me, subscription)["ConfirmationWasAuthenticated"], "false")
    hook.quiet(lab, "what was published before is not sent")

    said = {"kind": {"DataType": "String", "StringValue": "news"}, "bytes": {"DataType": "Binary", "BinaryValue": b"\x01\x02"}}
    id = me.sns.publish(TopicArn=topic, Message="hello\n\"you\" ✓", Subject="news", MessageAttributes=said)["MessageId"]
    head, told = hook.envelope()
    lab.that("a notification", (head["x-amz-sns-message-type"], head["x-amz-sns-message-id"], told["MessageId"]), ("Notification", id, id))
    lab.that("for this subscription", head["x-amz-sns-subscription-arn"], subscription)
    lab.that("its text", (told["Message"], told["Subject"]), ("hello\n\"you\" ✓", "news"))
    shown = {"kind": {"Type": "String", "Value": "news"}, "bytes": {"Type": "Binary", "Value": "AQI="}}
    lab.that("its attributes", told["MessageAttributes"], shown)
    verify(lab, told, "1")
    me.sns.publish(TopicArn=topic, Message="no subject")
    _, plain = hook.envelope()
    lab.that("nothing empty", {"Subject", "MessageAttributes"} & set(plain), set())
    verify(lab, plain, "1")

    lab.that("left by the link", follow(lab, told["UnsubscribeURL"])[0], 200)
    head, over = hook.envelope()
    lab.that("told so", (head["x-amz-sns-message-type"], over["Type"]), ("UnsubscribeConfirmation",) * 2)
    verify(lab, over, "1")
    me.sns.publish(TopicArn=topic, Message="unheard")
    lab.that("and back", follow(lab, over["SubscribeURL"])[0], 200)
    me.sns.publish(TopicArn=topic, Message="again")
    lab.that("it hears again", hook.envelope()[1]["Message"], "again")
    hook.quiet(lab, "nothing of what was between")
    return topic, subscription


def attributes(me, subscription):
    return me.sns.get_subscription_attributes(SubscriptionArn=subscription)["Attributes"]


def dead_letters(me, name, topic):
    """A queue for what cannot be delivered; its URL and the policy that names it."""
    allow = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": "*"}
    allow["Condition"] = {"ArnEquals": {"aws:SourceArn": topic}}
    queue = me.sqs.create_queue(QueueName=name, Attributes={"Policy": dumps({"Statement": [allow]})})["QueueUrl"]
    arn = me.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    return queue, dumps({"deadLetterTargetArn": arn})


def retries(lab, me, hook, topic, subscription):
    queue, redrive = dead_letters(me, "undelivered", topic)
    me.sns.set_subscription_attributes(SubscriptionArn=subscription, AttributeName="RedrivePolicy", AttributeValue=redrive)
    lab.that("shown", attributes(me, subscription)["RedrivePolicy"], redrive.replace(": ", ":"))
    # No policy: three retries, 20 seconds apart, and then the dead-letter queue.
    hook.answers.extend([500, 503, 599, 500])
    id = me.sns.publish(TopicArn=topic, Message="stubborn")["MessageId"]
    lab.that("tried", hook.envelope()[0]["x-amz-sns-message-id"], id)
    for attempt in (1, 2, 3):
        until_owed(lab, topic, [attempt])
        lab.advance(19_999)
        hook.quiet(lab, "not before 20 seconds")
        lab.advance(1)
        lab.that("the same message", hook.envelope()[0]["x-amz-sns-message-id"], id)
    until_owed(lab, topic, [])
    row = me.sqs.receive_message(QueueUrl=queue, MessageAttributeNames=["All"])["Messages"][0]
    lab.that("buried", (json.loads(row["Body"])["Message"], row["MessageAttributes"]["ErrorCode"]["StringValue"]), ("stubborn", "500"))
    me.sqs.delete_message(QueueUrl=queue, ReceiptHandle=row["ReceiptHandle"])

    # A 4xx, and a redirection, are final.
    for status in (400, 404, 499, 302):
        hook.answers.append(status)
        me.sns.publish(TopicArn=topic, Message=f"refused {status}")
        hook.envelope()
        until_owed(lab, topic, [])
        row = me.sqs.receive_message(QueueUrl=queue, MessageAttributeNames=["ErrorCode"])["Messages"][0]
        lab.that("buried at once", row["MessageAttributes"]["ErrorCode"]["StringValue"], str(status))
        me.sqs.delete_message(QueueUrl=queue, ReceiptHandle=row["ReceiptHandle"])
    lab.advance(3_600_000)
    hook.quiet(lab, "not tried again")

    # A retry that succeeds is the end; the next message waits for it.
    hook.answers.append(500)
    for text in ("first", "second"):
        me.sns.publish(TopicArn=topic, Message=text)
    heard = [hook.envelope()[1]["Message"]]
    wait_for("the failed one alone", lambda: 1 in owed(lab, topic), 10)
    lab.advance(20_000)
    heard += [hook.envelope()[1]["Message"]]
    if len(set(heard)) < 2:
        heard += [hook.envelope()[1]["Message"]]
    lab.that("both arrive", set(heard), {"first", "second"})
    wait_for("all delivered", lambda: owed(lab, topic) == [], 10)
    while not hook.heard.empty():
        hook.next()
    me.sns.set_subscription_attributes(SubscriptionArn=subscription, AttributeName="RedrivePolicy", AttributeValue="")
    lab.that("gone", "RedrivePolicy" in attributes(me, subscription), False)


def slowness(lab, me, hook, topic):
    """No answer in time is a failure. SNS waits 15 seconds of the machine's clock; a switch makes that short."""
    lab.that("15 seconds", lab.control("GET", "/behavior")["sns_reply_limit_ms"], 15_000)
    with lab.behavior(sns_reply_limit_ms=200):
        hook.answers.append("silence")
        me.sns.publish(TopicArn=topic, Message="slow")
        hook.envelope()
        until_owed(lab, topic, [1])
        hook.release.set()
        lab.advance(20_000)
        lab.that("once more", hook.envelope()[1]["Message"], "slow")
        until_owed(lab, topic, [])
    hook.release.clear()


def policies(lab, me, hook, topic, subscription):
    """Delivery policies: none at once, then growing delays, and no more than they say."""
    policy = {"healthyRetryPolicy": {
        "numRetries": 3, "numNoDelayRetries": 1, "numMinDelayRetries": 1, "numMaxDelayRetries": 1, "minDelayTarget": 5, "maxDelayTarget": 60,
        "backoffFunction": "linear",
    }}  # fmt: skip
    set = {"SubscriptionArn": subscription, "AttributeName": "DeliveryPolicy"}
    me.sns.set_subscription_attributes(AttributeValue=dumps(policy), **set)
    effective = json.loads(attributes(me, subscription)["EffectiveDeliveryPolicy"])
    lab.that("in force", effective["healthyRetryPolicy"]["maxDelayTarget"], 60)
    hook.answers.extend([500] * 4)
    me.sns.publish(TopicArn=topic, Message="by policy")
    for _ in range(2):
        lab.that("and at once again", hook.envelope()[1]["Message"], "by policy")
    for attempt, delay in ((2, 5_000), (3, 60_000)):
        until_owed(lab, topic, [attempt])
        lab.advance(delay - 1)
        hook.quiet(lab, f"not before {delay} ms")
        lab.advance(1)
        hook.envelope()
    until_owed(lab, topic, [])
    for bad in ("x", "{}x", dumps({"healthyRetryPolicy": {"numRetries": 101}}), dumps({"healthyRetryPolicy": {"surprise": 1}})):
        lab.refused("InvalidParameter", me.sns.set_subscription_attributes, 400, AttributeValue=bad, **set)
    me.sns.set_subscription_attributes(AttributeValue="", **set)
    whole = {"http": {"defaultHealthyRetryPolicy": {"numRetries": 0}}}
    me.sns.set_topic_attributes(TopicArn=topic, AttributeName="DeliveryPolicy", AttributeValue=dumps(whole))
    shown = me.sns.get_topic_attributes(TopicArn=topic)["Attributes"]
    lab.that("the topic's", json.loads(shown["DeliveryPolicy"]), whole)
    hook.answers.append(500)
    me.sns.publish(TopicArn=topic, Message="once")
    hook.envelope()
    until_owed(lab, topic, [])
    me.sns.set_topic_attributes(TopicArn=topic, AttributeName="DeliveryPolicy", AttributeValue="")


def raw(lab, me, hook, topic, subscription):
    set = {"SubscriptionArn": subscription, "AttributeName": "RawMessageDelivery"}
    me.sns.set_subscription_attributes(AttributeValue="true", **set)
    me.sns.publish(TopicArn=topic, Message="bare", Subject="lost")
    _, head, body = hook.next()
    lab.that("no envelope", (head["x-amz-sns-rawdelivery"], body), ("true", "bare"))
    me.sns.set_subscription_attributes(AttributeValue="false", **set)


def version_two(lab, me, hook):
    topic, _, asked = confirmed(lab, me, hook, "hooks-2", SignatureVersion="2")
    verify(lab, asked, "2")
    me.sns.publish(TopicArn=topic, Message="x", Subject="y")
    verify(lab, hook.envelope()[1], "2")
    me.sns.set_topic_attributes(TopicArn=topic, AttributeName="SignatureVersion", AttributeValue="1")
    me.sns.publish(TopicArn=topic, Message="x")
    verify(lab, hook.envelope()[1], "1")


def expiry(lab, me, hook):
    """A token is good for two days of the simulated clock."""
    topic, _ = subscribe(me, hook, "hooks-late")
    _, asked = hook.envelope()
    lab.advance(2 * 24 * 3_600_000)
    lab.refused("InvalidParameter", me.sns.confirm_subscription, 400, TopicArn=topic, Token=asked["Token"])
    status, text = follow(lab, asked["SubscribeURL"])
    lab.that("nor by the link", (status, "InvalidParameter" in text), (400, True))
    lab.that("asked again", subscribe(me, hook, "hooks-late")[1], "pending confirmation")
    _, again = hook.envelope()
    lab.that("with another token", again["Token"] != asked["Token"], True)
    me.sns.confirm_subscription(TopicArn=topic, Token=again["Token"])


def guarded(lab, me, hook):
    """Whoever confirmed with `AuthenticateOnUnsubscribe` must sign to leave."""
    topic, _ = subscribe(me, hook, "hooks-guarded")
    _, asked = hook.envelope()
    arn = me.sns.confirm_subscription(TopicArn=topic, Token=asked["Token"], AuthenticateOnUnsubscribe="true")["SubscriptionArn"]
    lab.that("somebody known confirmed", attributes(me, arn)["ConfirmationWasAuthenticated"], "true")
    me.sns.publish(TopicArn=topic, Message="x")
    status, text = follow(lab, hook.envelope()[1]["UnsubscribeURL"])
    lab.that("the link alone is not enough", (status, "AuthorizationError" in text), (403, True))
    me.sns.unsubscribe(SubscriptionArn=arn)
    lab.that("told so", hook.envelope()[1]["Type"], "UnsubscribeConfirmation")


def refusals(lab, me):
    topic = me.sns.create_topic(Name="hooks")["TopicArn"]
    for protocol, endpoint in (("http", "https://x/"), ("https", "x"), ("http", "http://"), ("pigeon", "x")):
        lab.refused("InvalidParameter", me.sns.subscribe, 400, TopicArn=topic, Protocol=protocol, Endpoint=endpoint)
    for protocol in ("email", "lambda", "sms"):
        lab.refused("UnsupportedOperation", me.sns.subscribe, 400, TopicArn=topic, Protocol=protocol, Endpoint="x")
