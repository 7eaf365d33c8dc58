"""Queues and messages."""

import json


def check(lab):
    me, other = lab.party(), lab.party()
    sqs = me.sqs
    dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["All"])["Attributes"]["QueueArn"]
    redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})
    queue = sqs.create_queue(QueueName="work", Attributes={"RedrivePolicy": redrive, "VisibilityTimeout": "1"})["QueueUrl"]
    lab.that("by name", sqs.get_queue_url(QueueName="work", QueueOwnerAWSAccountId=me.account)["QueueUrl"], queue)
    lab.that("listed", sqs.list_queues(QueueNamePrefix="wo")["QueueUrls"], [queue])
    sent = sqs.send_message(QueueUrl=queue, MessageBody="one", DelaySeconds=0)
    lab.that("named", bool(sent["MessageId"]), True)
    receive = {"QueueUrl": queue, "MaxNumberOfMessages": 10, "MessageSystemAttributeNames": ["All"], "WaitTimeSeconds": 0}
    got = sqs.receive_message(**receive, VisibilityTimeout=30, MessageAttributeNames=["All"])["Messages"][0]
    lab.that("received once", got["Attributes"]["ApproximateReceiveCount"], "1")
    change = {"QueueUrl": queue, "ReceiptHandle": got["ReceiptHandle"]}
    sqs.change_message_visibility(VisibilityTimeout=0, **change)
    lab.refused("AWS.SimpleQueueService.MessageNotInflight", sqs.change_message_visibility, 400, VisibilityTimeout=1, **change)
    lab.that("too often", sqs.receive_message(**receive).get("Messages", []), [])
    moved = sqs.receive_message(QueueUrl=dead, AttributeNames=["All"])["Messages"][0]
    lab.that("the dead letter", moved["MessageId"], sent["MessageId"])
    sqs.delete_message(QueueUrl=dead, ReceiptHandle=moved["ReceiptHandle"])
    sqs.send_message(QueueUrl=queue, MessageBody="two")
    two = sqs.receive_message(QueueUrl=queue)["Messages"][0]["ReceiptHandle"]
    entries = [{"Id": "a", "ReceiptHandle": two}, {"Id": "b", "ReceiptHandle": "nonsense"}]
    done = sqs.delete_message_batch(QueueUrl=queue, Entries=entries)
    lab.that("one of each", ([row["Id"] for row in done["Successful"]], [row["Id"] for row in done["Failed"]]), (["a"], ["b"]))
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "5"})

    gone = queue + "-gone"
    calls = {
        sqs.get_queue_attributes: {"AttributeNames": ["All"]},
        sqs.set_queue_attributes: {"Attributes": {"DelaySeconds": "1"}},
        sqs.send_message: {"MessageBody": "x"},
        sqs.receive_message: {},
        sqs.delete_message: {"ReceiptHandle": two},
        sqs.delete_message_batch: {"Entries": entries[:1]},
        sqs.change_message_visibility: {"ReceiptHandle": two, "VisibilityTimeout": 1},
        sqs.purge_queue: {},
        sqs.delete_queue: {},
    }
    missing = "AWS.SimpleQueueService.NonExistentQueue"
    for call, more in calls.items():
        lab.refused(missing, call, 400, QueueUrl=gone, **more)
    lab.refused(missing, sqs.get_queue_url, 400, QueueName="gone")
    lab.refused("InvalidAddress", sqs.receive_message, 404, QueueUrl="nowhere")
    lab.refused("AccessDenied", other.sqs.receive_message, 403, QueueUrl=queue)
    lab.refused("InvalidParameterValue", sqs.receive_message, 400, QueueUrl=queue, MaxNumberOfMessages=11)
    lab.refused("InvalidParameterValue", sqs.list_queues, 400, MaxResults=1_001)
    lab.refused("InvalidParameterValue", sqs.create_queue, 400, QueueName="not a name")
    lab.refused("QueueAlreadyExists", sqs.create_queue, 400, QueueName="work", Attributes={"VisibilityTimeout": "9"})
    lab.refused("InvalidAttributeName", sqs.set_queue_attributes, 400, QueueUrl=queue, Attributes={"Colour": "red"})
    lab.refused("InvalidAttributeValue", sqs.set_queue_attributes, 400, QueueUrl=queue, Attributes={"DelaySeconds": "x"})
    lab.refused("InvalidAttributeName", sqs.get_queue_attributes, 400, QueueUrl=queue, AttributeNames=["Colour"])
    lab.refused("ReceiptHandleIsInvalid", sqs.delete_message, 400, QueueUrl=queue, ReceiptHandle="nonsense")
    lab.refused("MissingParameter", sqs.send_message, 400, QueueUrl=queue)
    lab.refused("InvalidMessageContents", sqs.send_message, 400, QueueUrl=queue, MessageBody="\x01")
    batch = sqs.delete_message_batch
    name = "AWS.SimpleQueueService."
    one = entries[0]
    lab.refused(name + "EmptyBatchRequest", batch, 400, QueueUrl=queue, Entries=[])
    lab.refused(name + "BatchEntryIdsNotDistinct", batch, 400, QueueUrl=queue, Entries=[one, one])
    lab.refused(name + "InvalidBatchEntryId", batch, 400, QueueUrl=queue, Entries=[one | {"Id": "!"}])
    lab.refused(name + "TooManyEntriesInBatchRequest", batch, 400, QueueUrl=queue, Entries=[one | {"Id": str(n)} for n in range(11)])
    sqs.purge_queue(QueueUrl=queue)
    lab.refused(name + "PurgeQueueInProgress", sqs.purge_queue, 403, QueueUrl=queue)
    sqs.delete_queue(QueueUrl=queue)
    lab.refused(name + "QueueDeletedRecently", sqs.create_queue, 400, QueueName="work")
    status, _, body = lab.post(b"{", "sqs", me.account, headers={
        "x-amz-target": "AmazonSQS.SendMessage", "content-type": "application/x-amz-json-1.0"
    })  # fmt: skip
    lab.that("half an object", (status, "SerializationException" in body), (400, True))
    lab.judge.codes.setdefault(("sqs", "SerializationException"), set()).add(status)
