"""SQS's older protocol, which no current SDK speaks: forms to a queue's URL, XML back, the same queues behind it."""

import re
import urllib.parse
import xml.etree.ElementTree as xml

NAMESPACE = "http://queue.amazonaws.com/doc/2012-11-05/"


def check(lab):
    me = lab.party()

    def ask(action, path="/", **form):
        status, _, text = lab.post({"Action": action, "Version": "2012-11-05", **form}, "sqs", me.account, path=path)
        return status, xml.fromstring(text)

    def find(root, name):
        return [node.text for node in root.iter(f"{{{NAMESPACE}}}{name}")]

    def refused(code, status, action, path="/", **form):
        found, root = ask(action, path, **form)
        said = [re.sub("{.*}", "", node.tag) for node in root.iter()]
        lab.that(f"{action} {form!r:.60}", (found, [node.text for node in root.iter() if node.tag.endswith("Code")]), (status, [code]))
        lab.that("an error as SQS writes it", said[:2] + said[-1:], ["ErrorResponse", "Error", "RequestId"])
        lab.judge.codes.setdefault(("sqs", code), set()).add(found)

    made = {"QueueName": "old", "Attribute.1.Name": "VisibilityTimeout", "Attribute.1.Value": "7", "Tag.1.Key": "a", "Tag.1.Value": "b"}
    status, root = ask("CreateQueue", **made)
    lab.that("its name space", (status, root.tag), (200, f"{{{NAMESPACE}}}CreateQueueResponse"))
    [url] = find(root, "QueueUrl")
    lab.that("a request id", len(find(root, "RequestId")), 1)
    lab.that("the same queue for both", me.sqs.get_queue_url(QueueName="old")["QueueUrl"], url)
    at = urllib.parse.urlsplit(url).path
    lab.that("by name", find(ask("GetQueueUrl", QueueName="old")[1], "QueueUrl"), [url])
    lab.that("listed", find(ask("ListQueues", QueueNamePrefix="ol")[1], "QueueUrl"), [url])
    _, root = ask("GetQueueAttributes", at, **{"AttributeName.1": "VisibilityTimeout"})
    lab.that("its attribute", (find(root, "Name"), find(root, "Value")), (["VisibilityTimeout"], ["7"]))
    ask("SetQueueAttributes", at, **{"Attribute.1.Name": "VisibilityTimeout", "Attribute.1.Value": "30"})
    shown = me.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])["Attributes"]
    lab.that("changed for both", shown, {"VisibilityTimeout": "30"})
    ask("TagQueue", at, **{"Tag.1.Key": "c", "Tag.1.Value": "d"})
    ask("UntagQueue", at, **{"TagKey.1": "a"})
    _, root = ask("ListQueueTags", at)
    lab.that("its tags", (find(root, "Key"), find(root, "Value")), (["c"], ["d"]))

    # A message each way between the protocols.
    own = {"MessageAttribute.1.Name": "k", "MessageAttribute.1.Value.DataType": "String", "MessageAttribute.1.Value.StringValue": "v"}
    _, root = ask("SendMessage", at, MessageBody="<old> & new", **own)
    [id], [sum] = find(root, "MessageId"), find(root, "MD5OfMessageAttributes")
    got = me.sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"], VisibilityTimeout=0)["Messages"][0]
    lab.that("read by the newer", (got["MessageId"], got["Body"], got["MD5OfMessageAttributes"]), (id, "<old> & new", sum))
    _, root = ask("ReceiveMessage", at, MaxNumberOfMessages="10", **{"AttributeName.1": "All", "MessageAttributeName.1": "k"})
    lab.that("and by the older", (find(root, "Body"), find(root, "StringValue")), (["<old> & new"], ["v"]))
    [handle] = find(root, "ReceiptHandle")
    ask("ChangeMessageVisibility", at, ReceiptHandle=handle, VisibilityTimeout="60")
    lab.that("deleted", ask("DeleteMessage", at, ReceiptHandle=handle)[0], 200)
    entry = "SendMessageBatchRequestEntry"
    _, root = ask("SendMessageBatch", at, **{f"{entry}.1.Id": "a", f"{entry}.1.MessageBody": "x", f"{entry}.2.Id": "b", f"{entry}.2.MessageBody": ""})
    lab.that("each alone", find(root, "Id"), ["b", "a"] if find(root, "Id")[0] == "b" else ["a", "b"])
    lab.that("one failed", len(list(root.iter(f"{{{NAMESPACE}}}BatchResultErrorEntry"))), 1)
    _, root = ask("ReceiveMessage", at)
    [handle] = find(root, "ReceiptHandle")
    entry = "ChangeMessageVisibilityBatchRequestEntry"
    _, root = ask("ChangeMessageVisibilityBatch", at, **{f"{entry}.1.Id": "a", f"{entry}.1.ReceiptHandle": handle, f"{entry}.1.VisibilityTimeout": "9"})
    lab.that("changed", find(root, "Id"), ["a"])
    entry = "DeleteMessageBatchRequestEntry"
    _, root = ask("DeleteMessageBatch", at, **{f"{entry}.1.Id": "a", f"{entry}.1.ReceiptHandle": handle})
    lab.that("deleted", find(root, "Id"), ["a"])
    lab.that("nobody's dead letters", find(ask("ListDeadLetterSourceQueues", at)[1], "QueueUrl"), [])
    lab.that("emptied", ask("PurgeQueue", at)[0], 200)

    named = "AWS.SimpleQueueService."
    refused(f"{named}PurgeQueueInProgress", 403, "PurgeQueue", at)
    refused(f"{named}NonExistentQueue", 400, "PurgeQueue", at + "-gone")
    refused(f"{named}NonExistentQueue", 400, "GetQueueUrl", QueueName="none")
    refused(f"{named}EmptyBatchRequest", 400, "SendMessageBatch", at)
    refused("QueueAlreadyExists", 400, "CreateQueue", **(made | {"Attribute.1.Value": "8"}))
    refused("InvalidParameterValue", 400, "SendMessage", at, MessageBody="x", Nonsense="1")
    refused("InvalidParameterValue", 400, "SendMessage", at, MessageBody="x", DelaySeconds="soon")
    refused("InvalidParameterValue", 400, "ListQueues", MaxResults="2", NextToken="junk")
    refused("MissingParameter", 400, "SendMessage", at)
    refused("InvalidAction", 400, "StartMessageMoveTask", at)
    lab.that("gone", ask("DeleteQueue", at)[0], 200)
    refused(f"{named}QueueDeletedRecently", 400, "CreateQueue", QueueName="old")
