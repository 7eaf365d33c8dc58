"""What is published: attributes, filter policies, batches, text per protocol; tags of topics, and their limits."""

import json

from .lab import dumps
from .notifications import topic_and_queue


def check(lab):
    me, other = lab.party(), lab.party()
    topic, queue = topic_and_queue(me, "messages")
    subscription = me.sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"][0]["SubscriptionArn"]
    text_per_protocol(lab, me, topic, queue)
    filters(lab, me, topic, queue, subscription)
    raw(lab, me, topic, queue, subscription)
    batches(lab, me, topic, queue)
    tags(lab, me, other, topic)
    idempotency(lab, me)
    listing(lab, me, other, topic)
    refusals(lab, me, topic, subscription)


def drain(me, queue):
    """All messages of a queue, oldest first; they are deleted."""
    found = []
    while rows := me.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, MessageAttributeNames=["All"]).get("Messages"):
        for row in rows:
            me.sqs.delete_message(QueueUrl=queue, ReceiptHandle=row["ReceiptHandle"])
        found += rows
    return found


def texts(me, queue):
    return [json.loads(row["Body"])["Message"] for row in drain(me, queue)]


def text_per_protocol(lab, me, topic, queue):
    publish = me.sns.publish
    publish(TopicArn=topic, Message=dumps({"default": "all", "sqs": "queues"}), MessageStructure="json")
    publish(TopicArn=topic, Message=dumps({"default": "all", "http": "others"}), MessageStructure="json")
    publish(TargetArn=topic, Message="by its other name")
    lab.that("the text for queues, or for all", texts(me, queue), ["queues", "all", "by its other name"])
    lab.refused("InvalidParameter", publish, 400, TopicArn=topic, Message=dumps({"sqs": "no default"}), MessageStructure="json")
    lab.refused("InvalidParameter", publish, 400, TopicArn=topic, Message="not JSON", MessageStructure="json")
    lab.refused("InvalidParameter", publish, 400, TopicArn=topic, Message="{}", MessageStructure="xml")


def string(value, kind="String"):
    return {"DataType": kind, "StringValue": value}


# What is said, by the names of the messages below.
SAID = {
    "red": {"colour": string("red"), "size": string("5", "Number")},
    "reddish": {"colour": string("reddish"), "size": string("50", "Number")},
    "Blue": {"colour": string("Blue")},
    "both": {"colour": string('["red", "green"]', "String.Array")},
    "plain": {},
}
POLICIES = {
    '{"colour": ["red"]}': {"red", "both"},
    '{"colour": ["red", "Blue"]}': {"red", "both", "Blue"},
    '{"colour": [{"prefix": "red"}]}': {"red", "reddish", "both"},
    '{"colour": [{"suffix": "ish"}]}': {"reddish"},
    '{"colour": [{"equals-ignore-case": "blue"}]}': {"Blue"},
    '{"colour": [{"anything-but": ["red", "reddish", "green"]}]}': {"Blue"},
    '{"colour": [{"anything-but": {"prefix": "red"}}]}': {"Blue", "both"},
    '{"colour": [{"exists": true}]}': {"red", "reddish", "Blue", "both"},
    '{"size": [{"exists": false}]}': {"Blue", "both"},
    '{"size": [{"numeric": ["=", 5]}]}': {"red"},
    '{"size": [{"numeric": [">", 5, "<=", 50]}]}': {"reddish"},
    '{"colour": ["red"], "size": [5]}': {"red"},
    "{}": set(SAID),
}
NOT_FILTERS = ["x", "[]", '{"a": "b"}', '{"a": []}', '{"a": [[]]}', '{"a": [{"numeric": ["~", 1]}]}', '{"a": [{"prefix": 1}]}']


def filters(lab, me, topic, queue, subscription):
    change = me.sns.set_subscription_attributes
    named = {"SubscriptionArn": subscription, "AttributeName": "FilterPolicy"}
    for policy, wanted in POLICIES.items():
        change(AttributeValue=policy, **named)
        for name, said in SAID.items():
            me.sns.publish(TopicArn=topic, Message=name, MessageAttributes=said)
        lab.that(f"what {policy} lets through", sorted(texts(me, queue)), sorted(wanted))
    change(AttributeValue='{"colour": ["red"]}', **named)
    shown = me.sns.get_subscription_attributes(SubscriptionArn=subscription)["Attributes"]
    lab.that("shown", (shown["FilterPolicy"], shown["FilterPolicyScope"]), ('{"colour": ["red"]}', "MessageAttributes"))
    for bad in NOT_FILTERS:
        lab.refused("InvalidParameter", change, 400, AttributeValue=bad, **named)
    for unknown in ('{"a": [{"cidr": "10.0.0.0/8"}]}', '{"$or": [{"a": ["b"]}]}'):
        lab.refused("UnsupportedOperation", change, 400, AttributeValue=unknown, **named)
    scope = {"SubscriptionArn": subscription, "AttributeName": "FilterPolicyScope"}
    lab.refused("UnsupportedOperation", change, 400, AttributeValue="MessageBody", **scope)
    lab.refused("InvalidParameter", change, 400, AttributeValue="Both", **scope)
    change(AttributeValue="MessageAttributes", **scope)
    change(AttributeValue="{}", **named)


def raw(lab, me, topic, queue, subscription):
    """Raw messages carry their attributes as those of the queue's message; boto3 checks both sums."""
    raw = {"SubscriptionArn": subscription, "AttributeName": "RawMessageDelivery"}
    me.sns.set_subscription_attributes(AttributeValue="true", **raw)
    said = {"kind": string("news"), "bytes": {"DataType": "Binary", "BinaryValue": b"\x01"}, "n": string("1", "Number")}
    me.sns.publish(TopicArn=topic, Message="bare", MessageAttributes=said)
    [row] = drain(me, queue)
    lab.that("bare, with its attributes", (row["Body"], row["MessageAttributes"]), ("bare", said))
    me.sns.set_subscription_attributes(AttributeValue="false", **raw)
    lab.refused("InvalidParameter", me.sns.set_subscription_attributes, 400, AttributeValue="maybe", **raw)


def batches(lab, me, topic, queue):
    publish = me.sns.publish_batch
    good = {
        "Id": "a", "Message": dumps({"default": "one"}), "Subject": "first", "MessageStructure": "json",
        "MessageAttributes": {"kind": string("news")},
    }  # fmt: skip
    done = publish(TopicArn=topic, PublishBatchRequestEntries=[good, {"Id": "b", "Message": ""}, {"Id": "c", "Message": "three"}])
    lab.that("each alone", ([row["Id"] for row in done["Successful"]], [row["Id"] for row in done["Failed"]]), (["a", "c"], ["b"]))
    lab.that("whose fault", (done["Failed"][0]["Code"], done["Failed"][0]["SenderFault"]), ("InvalidParameter", True))
    rows = [json.loads(row["Body"]) for row in drain(me, queue)]
    lab.that("the ids that arrive", [row["MessageId"] for row in rows], [row["MessageId"] for row in done["Successful"]])
    lab.that("the first", (rows[0]["Message"], rows[0]["Subject"], rows[0]["MessageAttributes"]["kind"]["Value"]), ("one", "first", "news"))
    one = {"Id": "a", "Message": "x"}
    for code, entries in {
        "EmptyBatchRequest": [],
        "TooManyEntriesInBatchRequest": [one | {"Id": str(n)} for n in range(11)],
        "InvalidBatchEntryId": [one | {"Id": "!"}],
        "BatchEntryIdsNotDistinct": [one, one],
        "BatchRequestTooLong": [{"Id": str(n), "Message": "x" * 200_000} for n in range(2)],
    }.items():
        lab.refused(code, publish, 400, TopicArn=topic, PublishBatchRequestEntries=entries)
    lab.refused("NotFound", publish, 404, TopicArn=topic + "-gone", PublishBatchRequestEntries=[one])
    lab.that("nothing of these arrived", texts(me, queue), [])


def tags(lab, me, other, topic):
    sns = me.sns
    sns.tag_resource(ResourceArn=topic, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    sns.tag_resource(ResourceArn=topic, Tags=[{"Key": "a", "Value": "3"}])
    shown = lambda: sorted((tag["Key"], tag["Value"]) for tag in sns.list_tags_for_resource(ResourceArn=topic)["Tags"])  # noqa: E731
    lab.that("the tags", shown(), [("a", "3"), ("b", "2")])
    sns.untag_resource(ResourceArn=topic, TagKeys=["a", "none"])
    lab.that("one less", shown(), [("b", "2")])
    some = [{"Key": f"k{n}", "Value": ""} for n in range(50)]
    lab.refused("TagLimitExceeded", sns.tag_resource, 400, ResourceArn=topic, Tags=some)
    lab.refused("InvalidParameter", sns.tag_resource, 400, ResourceArn=topic, Tags=[{"Key": "aws:x", "Value": ""}])
    for call, more in ((sns.tag_resource, {"Tags": some[:1]}), (sns.untag_resource, {"TagKeys": ["a"]}), (sns.list_tags_for_resource, {})):
        lab.refused("ResourceNotFound", call, 404, ResourceArn=topic + "-gone", **more)
    lab.refused("ResourceNotFound", other.sns.list_tags_for_resource, 404, ResourceArn=topic)
    lab.that("still", shown(), [("b", "2")])


def idempotency(lab, me):
    create = me.sns.create_topic
    made = create(Name="same", Attributes={"DisplayName": "x"}, Tags=[{"Key": "a", "Value": "b"}])["TopicArn"]
    lab.that("the same", create(Name="same", Attributes={"DisplayName": "x"}, Tags=[{"Key": "a", "Value": "b"}])["TopicArn"], made)
    lab.that("or less", create(Name="same")["TopicArn"], made)
    lab.refused("InvalidParameter", create, 400, Name="same", Attributes={"DisplayName": "y"})
    lab.refused("InvalidParameter", create, 400, Name="same", Tags=[{"Key": "a", "Value": "c"}])
    lab.refused("InvalidParameter", create, 400, Name="other", Attributes={"Colour": "red"})
    lab.refused("UnsupportedOperation", create, 400, Name="same.fifo")
    lab.that("what it says", me.sns.get_topic_attributes(TopicArn=made)["Attributes"]["DisplayName"], "x")


def listing(lab, me, other, topic):
    rows = me.sns.list_subscriptions()["Subscriptions"]
    lab.that("one's own", [(row["TopicArn"], row["Owner"], row["Protocol"]) for row in rows], [(topic, me.account, "sqs")])
    lab.that("nobody else's", other.sns.list_subscriptions()["Subscriptions"], [])
    lab.refused("InvalidParameter", me.sns.list_subscriptions, 400, NextToken="junk")
    lab.refused("InvalidParameter", me.sns.list_topics, 400, NextToken="junk")
    counted = me.sns.get_topic_attributes(TopicArn=topic)["Attributes"]
    lab.that("counted", (counted["SubscriptionsConfirmed"], counted["SubscriptionsPending"]), ("1", "0"))


def refusals(lab, me, topic, subscription):
    publish = me.sns.publish
    lab.refused("InvalidParameter", publish, 400, TopicArn=topic, Message="")
    lab.refused("InvalidParameter", publish, 400, TopicArn=topic, Message="x" * 262_145)
    lab.refused("InvalidParameter", publish, 400, TopicArn=topic, Message="x", Subject="x" * 101)
    for bad in (string("x", "Colour"), string("x", "Number"), string("", "String")):
        lab.refused("ParameterValueInvalid", publish, 400, TopicArn=topic, Message="x", MessageAttributes={"a": bad})
    with lab.fault(account=me.account, effect="throttle"):
        lab.refused("Throttling", publish, 400, TopicArn=topic, Message="x")
    with lab.fault(account=me.account, effect="deny_action"):
        lab.refused("AuthorizationError", publish, 403, TopicArn=topic, Message="x")
    lab.refused("InvalidParameter", publish, 400, TopicArn="topic", Message="x")
    lab.refused("InvalidParameter", publish, 400, Message="x")
    lab.refused("InvalidParameter", me.sns.confirm_subscription, 400, TopicArn=topic, Token="none")
    change = me.sns.set_subscription_attributes
    for name, value in (("Colour", "red"), ("RedrivePolicy", "{}"), ("RedrivePolicy", "x"), ("DeliveryPolicy", "{}")):
        lab.refused("InvalidParameter", change, 400, SubscriptionArn=subscription, AttributeName=name, AttributeValue=value)
