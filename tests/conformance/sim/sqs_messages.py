"""Messages in queues: attributes and their sums, batches, visibility, delays, what waits, tags, dead letters and their sources."""

import json
import threading
import time


def check(lab):
    me, other = lab.party(), lab.party()
    queue = me.sqs.create_queue(QueueName="messages", tags={"made": "tagged"})["QueueUrl"]
    attributes(lab, me, queue)
    batches(lab, me, queue)
    times(lab, me, queue)
    waiting(lab, me, queue)
    in_flight(lab, me, queue)
    tags(lab, me, other, queue)
    dead_letters(lab, me)
    listing(lab, me)
    policies(lab, me, other)


def one(me, queue, **more):
    rows = me.sqs.receive_message(QueueUrl=queue, **more).get("Messages", [])
    return rows[0] if rows else None


def attributes(lab, me, queue):
    """boto3 itself compares the sum of the body with its own; that of attributes is checked by name in the answer."""
    said = {
        "text": {"DataType": "String", "StringValue": "ümlaut"},
        "bytes": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
        "number.of.things": {"DataType": "Number.int", "StringValue": "-1.5"},
    }
    sent = me.sqs.send_message(QueueUrl=queue, MessageBody="with", MessageAttributes=said)
    got = one(me, queue, MessageAttributeNames=["All"], AttributeNames=["All"], VisibilityTimeout=0)
    lab.that("all of them", got["MessageAttributes"], said)
    lab.that("the same sum", got["MD5OfMessageAttributes"], sent["MD5OfMessageAttributes"])
    lab.that("who sent it", got["Attributes"]["SenderId"], me.account)
    some = one(me, queue, MessageAttributeNames=["number.*", "text"], MessageSystemAttributeNames=["SentTimestamp"], VisibilityTimeout=0)
    lab.that("those asked for", sorted(some["MessageAttributes"]), ["number.of.things", "text"])
    lab.that("and no other", sorted(some["Attributes"]), ["SentTimestamp"])
    lab.that("another sum", some["MD5OfMessageAttributes"] != sent["MD5OfMessageAttributes"], True)
    bare = one(me, queue)
    lab.that("none unless asked", {"MessageAttributes", "Attributes"} & set(bare), set())
    me.sqs.delete_message(QueueUrl=queue, ReceiptHandle=bare["ReceiptHandle"])
    send = me.sqs.send_message
    for bad in (
        {"": said["text"]},
        {"AWS.x": said["text"]},
        {"a": {"DataType": "Colour", "StringValue": "x"}},
        {"a": {"DataType": "Number", "StringValue": "x"}},
        {"a": {"DataType": "String"}},
        {f"a{n}": said["text"] for n in range(11)},
    ):
        lab.refused("InvalidParameterValue", send, 400, QueueUrl=queue, MessageBody="x", MessageAttributes=bad)
    lab.refused("InvalidAttributeName", me.sqs.receive_message, 400, QueueUrl=queue, AttributeNames=["Colour"])
    lab.refused("InvalidParameterValue", send, 400, QueueUrl=queue, MessageBody="x", DelaySeconds=901)
    lab.refused("InvalidParameterValue", send, 400, QueueUrl=queue, MessageBody="x" * 1_048_577)


def batches(lab, me, queue):
    sqs = me.sqs
    entries = [
        {"Id": "a", "MessageBody": "one", "DelaySeconds": 0, "MessageAttributes": {"k": {"DataType": "String", "StringValue": "v"}}},
        {"Id": "b", "MessageBody": "two", "DelaySeconds": 901},
        {"Id": "c", "MessageBody": "three"},
    ]
    done = sqs.send_message_batch(QueueUrl=queue, Entries=entries)
    lab.that("each alone", ([row["Id"] for row in done["Successful"]], [row["Id"] for row in done["Failed"]]), (["a", "c"], ["b"]))
    lab.that("the one that failed", (done["Failed"][0]["Code"], done["Failed"][0]["SenderFault"]), ("InvalidParameterValue", True))
    lab.that("a sum where there are attributes", ["MD5OfMessageAttributes" in row for row in done["Successful"]], [True, False])
    rows = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    lab.that("both", sorted(row["Body"] for row in rows), ["one", "three"])
    change = [{"Id": row["Body"], "ReceiptHandle": row["ReceiptHandle"], "VisibilityTimeout": 0} for row in rows]
    bad = [{"Id": "bad", "ReceiptHandle": "nonsense", "VisibilityTimeout": 0}]
    done = sqs.change_message_visibility_batch(QueueUrl=queue, Entries=change + bad)
    lab.that("shown again", sorted(row["Id"] for row in done["Successful"]), ["one", "three"])
    lab.that("but one", [(row["Id"], row["Code"]) for row in done["Failed"]], [("bad", "ReceiptHandleIsInvalid")])
    rows = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    gone = [{"Id": row["Body"], "ReceiptHandle": row["ReceiptHandle"]} for row in rows]
    lab.that("deleted", len(sqs.delete_message_batch(QueueUrl=queue, Entries=gone)["Successful"]), 2)
    prefix = "AWS.SimpleQueueService."
    for call, entry in (
        (sqs.send_message_batch, {"Id": "a", "MessageBody": "x"}),
        (sqs.change_message_visibility_batch, bad[0] | {"Id": "a"}),
        (sqs.delete_message_batch, {"Id": "a", "ReceiptHandle": "x"}),
    ):
        lab.refused(prefix + "EmptyBatchRequest", call, 400, QueueUrl=queue, Entries=[])
        lab.refused(prefix + "BatchEntryIdsNotDistinct", call, 400, QueueUrl=queue, Entries=[entry, entry])
        lab.refused(prefix + "InvalidBatchEntryId", call, 400, QueueUrl=queue, Entries=[entry | {"Id": "a b"}])
        many = [entry | {"Id": str(n)} for n in range(11)]
        lab.refused(prefix + "TooManyEntriesInBatchRequest", call, 400, QueueUrl=queue, Entries=many)
        lab.refused(prefix + "NonExistentQueue", call, 400, QueueUrl=queue + "-gone", Entries=[entry])
    long = [{"Id": str(n), "MessageBody": "x" * 600_000} for n in range(2)]
    lab.refused(prefix + "BatchRequestTooLong", sqs.send_message_batch, 400, QueueUrl=queue, Entries=long)


def times(lab, me, queue):
    """Delays, visibility and retention, by the simulated clock."""
    sqs = me.sqs
    counts = lambda: {  # noqa: E731
        name.removeprefix("ApproximateNumberOfMessages"): int(value)
        for name, value in sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"].items()
        if name.startswith("ApproximateNumberOfMessages")
    }
    sqs.send_message(QueueUrl=queue, MessageBody="late", DelaySeconds=10)
    lab.that("delayed", counts(), {"": 0, "Delayed": 1, "NotVisible": 0})
    lab.advance(9_999)
    lab.that("not yet", one(me, queue), None)
    lab.advance(1)
    got = one(me, queue, VisibilityTimeout=5)
    lab.that("now", (got["Body"], counts()), ("late", {"": 0, "Delayed": 0, "NotVisible": 1}))
    lab.advance(4_999)
    lab.that("hidden", one(me, queue), None)
    lab.advance(1)
    again = one(me, queue, AttributeNames=["ApproximateReceiveCount"], VisibilityTimeout=5)
    lab.that("seen twice", again["Attributes"]["ApproximateReceiveCount"], "2")
    sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=again["ReceiptHandle"], VisibilityTimeout=60)
    lab.advance(59_999)
    lab.that("hidden for longer", one(me, queue), None)
    lab.advance(1)
    got = one(me, queue)
    change = {"QueueUrl": queue, "ReceiptHandle": got["ReceiptHandle"]}
    lab.refused("InvalidParameterValue", sqs.change_message_visibility, 400, VisibilityTimeout=43_201, **change)
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"MessageRetentionPeriod": "60"})
    lab.advance(61_000)
    lab.that("forgotten", (one(me, queue), sum(counts().values())), (None, 0))
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"MessageRetentionPeriod": "345600"})


def waiting(lab, me, queue):
    """A receive that waits hears of a message when it comes, and of nothing when its time is over."""
    began, found = time.monotonic(), []
    lab.that("nothing in a second", one(me, queue, WaitTimeSeconds=1), None)
    lab.that("of waiting", 0.9 < time.monotonic() - began < 8, True)
    waiter = threading.Thread(target=lambda: found.append(one(me, queue, WaitTimeSeconds=10)))
    waiter.start()
    me.sqs.send_message(QueueUrl=queue, MessageBody="at last")
    waiter.join(10)
    lab.that("it came", [row["Body"] for row in found], ["at last"])
    me.sqs.delete_message(QueueUrl=queue, ReceiptHandle=found[0]["ReceiptHandle"])
    lab.refused("InvalidParameterValue", me.sqs.receive_message, 400, QueueUrl=queue, WaitTimeSeconds=21)


def in_flight(lab, me, queue):
    for text in ("a", "b", "c"):
        me.sqs.send_message(QueueUrl=queue, MessageBody=text)
    with lab.behavior(in_flight_limit=2):
        me.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=2)
        lab.refused("OverLimit", me.sqs.receive_message, 403, QueueUrl=queue)
    me.sqs.purge_queue(QueueUrl=queue)
    lab.advance(60_000)


def tags(lab, me, other, queue):
    sqs = me.sqs
    shown = lambda: sqs.list_queue_tags(QueueUrl=queue).get("Tags", {})  # noqa: E731
    lab.that("from its creation", shown(), {"made": "tagged"})
    sqs.tag_queue(QueueUrl=queue, Tags={"a": "1", "made": "later"})
    lab.that("changed", shown(), {"a": "1", "made": "later"})
    sqs.untag_queue(QueueUrl=queue, TagKeys=["made", "none"])
    lab.that("one less", shown(), {"a": "1"})
    lab.refused("InvalidParameterValue", sqs.tag_queue, 400, QueueUrl=queue, Tags={f"k{n}": "" for n in range(50)})
    lab.refused("InvalidParameterValue", sqs.tag_queue, 400, QueueUrl=queue, Tags={"aws:x": ""})
    missing = "AWS.SimpleQueueService.NonExistentQueue"
    for call, more in ((sqs.tag_queue, {"Tags": {"a": "b"}}), (sqs.untag_queue, {"TagKeys": ["a"]}), (sqs.list_queue_tags, {})):
        lab.refused(missing, call, 400, QueueUrl=queue + "-gone", **more)
    lab.refused("AccessDenied", other.sqs.list_queue_tags, 403, QueueUrl=queue)
    lab.that("still", shown(), {"a": "1"})


def dead_letters(lab, me):
    sqs = me.sqs
    dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    lab.that("nobody's yet", sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"], [])
    redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 2})
    queue = sqs.create_queue(QueueName="fragile", Attributes={"RedrivePolicy": redrive, "VisibilityTimeout": "0"})["QueueUrl"]
    lab.that("its source", sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"], [queue])
    id = sqs.send_message(QueueUrl=queue, MessageBody="poison")["MessageId"]
    lab.that("twice", [one(me, queue)["Body"] for _ in range(2)], ["poison"] * 2)
    lab.that("and no more", one(me, queue), None)
    got = one(me, dead, AttributeNames=["All"])
    source = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    lab.that("the same message", (got["MessageId"], got["Attributes"]["DeadLetterQueueSourceArn"]), (id, source))
    for bad in ("x", "{}", json.dumps({"deadLetterTargetArn": arn}), json.dumps({"deadLetterTargetArn": arn + "x", "maxReceiveCount": 1})):
        lab.refused("InvalidParameterValue", sqs.set_queue_attributes, 400, QueueUrl=queue, Attributes={"RedrivePolicy": bad})
    missing = "AWS.SimpleQueueService.NonExistentQueue"
    lab.refused(missing, sqs.list_dead_letter_source_queues, 400, QueueUrl=dead + "-gone")


def listing(lab, me):
    sqs = me.sqs
    made = [sqs.create_queue(QueueName=f"row-{n}")["QueueUrl"] for n in range(3)]
    page = sqs.list_queues(QueueNamePrefix="row-", MaxResults=2)
    lab.that("two", page["QueueUrls"], made[:2])
    rest = sqs.list_queues(QueueNamePrefix="row-", MaxResults=2, NextToken=page["NextToken"])
    lab.that("and one", (rest["QueueUrls"], "NextToken" in rest), (made[2:], False))
    for junk in ("junk", "row-1"):
        lab.refused("InvalidParameterValue", sqs.list_queues, 400, QueueNamePrefix="row-", MaxResults=2, NextToken=junk)
    lab.refused("InvalidParameterValue", sqs.list_queues, 400, MaxResults=2, NextToken=page["NextToken"])
    with lab.fault(account=me.account, effect="throttle"):
        lab.refused("RequestThrottled", sqs.list_queues, 403)
    with lab.fault(account=me.account, effect="deny_action"):
        lab.refused("AccessDenied", sqs.list_queues, 403)
    lab.refused("AWS.SimpleQueueService.UnsupportedOperation", sqs.create_queue, 400, QueueName="a.fifo", Attributes={"FifoQueue": "true"})


def policies(lab, me, other):
    """Another account may do what the policy says, and nothing else."""
    queue = me.sqs.create_queue(QueueName="shared")["QueueUrl"]
    allow = {"Effect": "Allow", "Principal": {"AWS": other.account}, "Action": "sqs:SendMessage", "Resource": "*"}
    me.sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps({"Statement": [allow]})})
    other.sqs.send_message(QueueUrl=queue, MessageBody="from outside")
    lab.refused("AccessDenied", other.sqs.receive_message, 403, QueueUrl=queue)
    lab.that("it is there", one(me, queue, AttributeNames=["SenderId"])["Attributes"]["SenderId"], other.account)
    for bad in ("x", '{"Statement": [{"Effect": "Perhaps"}]}'):
        lab.refused("InvalidAttributeValue", me.sqs.set_queue_attributes, 400, QueueUrl=queue, Attributes={"Policy": bad})
