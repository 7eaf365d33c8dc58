"""Topics and subscriptions."""

import json

from .lab import dumps
from .notifications import topic_and_queue


def check(lab):
    me, other = lab.party(), lab.party()
    sns = me.sns
    topic, queue = topic_and_queue(me, "news")
    lab.that("the same name, the same topic", sns.create_topic(Name="news")["TopicArn"], topic)
    sns.create_topic(Name="signed", Attributes={"SignatureVersion": "2", "DisplayName": "Signed"})
    attributes = sns.get_topic_attributes(TopicArn=topic)["Attributes"]
    lab.that("its owner", (attributes["TopicArn"], attributes["Owner"]), (topic, me.account))
    lab.that("listed", topic in [row["TopicArn"] for row in sns.list_topics()["Topics"]], True)
    rows = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    subscription = rows[0]["SubscriptionArn"]
    lab.that("confirmed", (rows[0]["Protocol"], subscription.startswith(topic)), ("sqs", True))
    sent = sns.publish(TopicArn=topic, Message="hello", Subject="news")["MessageId"]
    got = me.sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1)["Messages"][0]
    envelope = json.loads(got["Body"])
    lab.that("what arrives", (envelope["MessageId"], envelope["Message"], envelope["Subject"]), (sent, "hello", "news"))
    sns.set_subscription_attributes(SubscriptionArn=subscription, AttributeName="RawMessageDelivery", AttributeValue="true")
    shown = sns.get_subscription_attributes(SubscriptionArn=subscription)["Attributes"]
    lab.that("raw now", shown["RawMessageDelivery"], "true")

    # A queue of somebody else has to confirm.
    allow = {"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": "*"}]}
    theirs = other.sqs.create_queue(QueueName="theirs", Attributes={"Policy": dumps(allow)})["QueueUrl"]
    arn = other.sqs.get_queue_attributes(QueueUrl=theirs, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    asked = {"TopicArn": topic, "Protocol": "sqs", "Endpoint": arn, "Attributes": {"RawMessageDelivery": "false"}}
    lab.that("it waits", sns.subscribe(**asked)["SubscriptionArn"], "pending confirmation")
    full = sns.subscribe(ReturnSubscriptionArn=True, **asked)["SubscriptionArn"]
    token = json.loads(other.sqs.receive_message(QueueUrl=theirs, WaitTimeSeconds=1)["Messages"][0]["Body"])["Token"]
    confirm = other.sns.confirm_subscription
    lab.refused("InvalidParameter", confirm, 400, TopicArn=topic, Token="0" * 64)
    waiting = other.sqs.receive_message(QueueUrl=theirs, MaxNumberOfMessages=10)
    tokens = [json.loads(row["Body"])["Token"] for row in waiting.get("Messages", [])]
    done = None
    for token in [*tokens, token]:
        try:
            done = confirm(TopicArn=topic, Token=token, AuthenticateOnUnsubscribe="true")["SubscriptionArn"]
            break
        except other.sns.exceptions.InvalidParameterException:
            continue
    lab.that("confirmed", done, full)

    gone = topic + "-gone"
    for call, more in {
        sns.get_topic_attributes: {},
        sns.set_topic_attributes: {"AttributeName": "DisplayName", "AttributeValue": "x"},
        sns.list_subscriptions_by_topic: {},
        sns.publish: {"Message": "x"},
        sns.subscribe: {"Protocol": "sqs", "Endpoint": arn},
    }.items():
        lab.refused("NotFound", call, 404, TopicArn=gone, **more)
    lab.refused("AuthorizationError", other.sns.publish, 403, TopicArn=topic, Message="x")
    lab.refused("AuthorizationError", other.sns.delete_topic, 403, TopicArn=topic)
    lab.refused("InvalidParameter", sns.create_topic, 400, Name="not a name")
    lab.refused("InvalidParameter", sns.set_topic_attributes, 400, TopicArn=topic, AttributeName="Policy", AttributeValue="x")
    nobody = topic + ":00000000-0000-0000-0000-000000000000"
    lab.refused("NotFound", sns.get_subscription_attributes, 404, SubscriptionArn=nobody)
    raw = {"AttributeName": "RawMessageDelivery", "AttributeValue": "true"}
    lab.refused("NotFound", sns.set_subscription_attributes, 404, SubscriptionArn=nobody, **raw)
    lab.refused("InvalidParameter", sns.unsubscribe, 400, SubscriptionArn="nobody")
    sns.unsubscribe(SubscriptionArn=subscription)
    sns.delete_topic(TopicArn=topic)
    sns.delete_topic(TopicArn=topic)
