"""Connection notifications, from the event to the queue."""

import json

from .lab import AWAY, connected, dumps

EVENTS = ["Connect", "Accept", "Reject", "Delete"]


def topic_and_queue(me, name="connections"):
    """A topic that AWS may publish to and a queue that it delivers to; the topic's ARN and the queue's URL."""
    topic = me.sns.create_topic(Name=name)["TopicArn"]
    allow = {
        "Effect": "Allow",
        "Principal": {"Service": "vpce.amazonaws.com"},
        "Action": "SNS:Publish",
        "Resource": topic,
        "Condition": {"StringEquals": {"aws:SourceAccount": me.account}},
    }
    me.sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=dumps({"Statement": [allow]}))
    allow = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": "*",
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    queue = me.sqs.create_queue(QueueName=name, Attributes={"Policy": dumps({"Statement": [allow]})})["QueueUrl"]
    arn = me.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    me.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    return topic, queue


def check(lab):
    provider, consumer, service, _ = connected(lab)
    topic, queue = topic_and_queue(provider)
    create = provider.ec2.create_vpc_endpoint_connection_notification
    asked = {
        "ServiceId": service["ServiceId"],
        "ConnectionNotificationArn": topic,
        "ConnectionEvents": EVENTS,
        "ClientToken": "once",
    }
    made = create(**asked)
    notification, id = made["ConnectionNotification"], made["ConnectionNotification"]["ConnectionNotificationId"]
    lab.that("the token comes back", made["ClientToken"], "once")
    lab.that("its events", sorted(notification["ConnectionEvents"]), sorted(EVENTS))
    lab.that("a replay", create(**asked)["ConnectionNotification"]["ConnectionNotificationId"], id)
    lab.refused("IdempotentParameterMismatch", create, 400, **(asked | {"ConnectionEvents": ["Connect"]}))

    endpoint = consumer.endpoint(service)
    provider.accept(service, endpoint)
    provider.reject(service, endpoint)
    consumer.ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint["VpcEndpointId"]])
    got = provider.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1)["Messages"]
    lab.that("one message for each event", len(got), len(EVENTS))
    envelope = json.loads(got[0]["Body"])
    lab.that("SNS's envelope", (envelope["Type"], envelope["TopicArn"]), ("Notification", topic))
    lab.that("with the endpoint's id", endpoint["VpcEndpointId"] in envelope["Message"], True)

    modify = provider.ec2.modify_vpc_endpoint_connection_notification
    lab.that("changed", modify(ConnectionNotificationId=id, ConnectionEvents=["Connect"])["ReturnValue"], True)
    modify(ConnectionNotificationId=id, ConnectionNotificationArn=topic)
    describe = provider.ec2.describe_vpc_endpoint_connection_notifications
    found = describe(ConnectionNotificationId=id)["ConnectionNotificationSet"]
    lab.that("its events now", found[0]["ConnectionEvents"], ["Connect"])

    theirs, _ = topic_and_queue(consumer)
    own = consumer.ec2.create_vpc_endpoint_connection_notification(
        VpcEndpointId=consumer.endpoint(service)["VpcEndpointId"],
        ConnectionNotificationArn=theirs,
        ConnectionEvents=["Accept"],
    )["ConnectionNotification"]
    consumer.ec2.describe_vpc_endpoint_connection_notifications(ConnectionNotificationId=own["ConnectionNotificationId"])

    theirs = [{"Name": "vpc-endpoint-id", "Values": [own["VpcEndpointId"]]}]
    found = consumer.ec2.describe_vpc_endpoint_connection_notifications(Filters=theirs)["ConnectionNotificationSet"]
    lab.that("by endpoint", [row["ConnectionNotificationId"] for row in found], [own["ConnectionNotificationId"]])
    lab.refused("InvalidParameterCombination", create, 400, **(asked | {"ClientToken": "", "VpcEndpointId": endpoint["VpcEndpointId"]}))
    lab.refused("InvalidParameter", create, 400, **(asked | {"ClientToken": "two", "ConnectionNotificationArn": "topic"}))
    none = topic[: topic.rindex(":")] + ":none"
    lab.refused("InvalidParameter", create, 400, **(asked | {"ClientToken": "four", "ConnectionNotificationArn": none}))
    with lab.behavior(notification_topic_must_exist=False):
        early = create(**(asked | {"ClientToken": "five", "ConnectionNotificationArn": none}))["ConnectionNotification"]
    provider.ec2.delete_vpc_endpoint_connection_notifications(ConnectionNotificationIds=[early["ConnectionNotificationId"]])
    far = provider.at(AWAY).sns.create_topic(Name="far")["TopicArn"]
    lab.refused("InvalidParameter", create, 400, **(asked | {"ClientToken": "three", "ConnectionNotificationArn": far}))
    lab.refused("MissingParameter", create, 400, ServiceId=service["ServiceId"], ConnectionEvents=EVENTS)
    gone = "vpce-nfn-0123456789abcdef0"
    lab.refused("InvalidConnectionNotification", modify, 400, ConnectionNotificationId=gone, ConnectionEvents=["Connect"])
    lab.refused("InvalidConnectionNotification", describe, 400, ConnectionNotificationId=gone)
    delete = provider.ec2.delete_vpc_endpoint_connection_notifications
    lab.refused("MissingParameter", delete, 400)
    answer = delete(ConnectionNotificationIds=[id, gone])
    lab.item(answer, gone, "InvalidConnectionNotification")
    lab.that("it is gone", describe()["ConnectionNotificationSet"], [])
