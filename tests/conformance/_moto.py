"""What `moto.py` asks of both: neutral calls, each boiled down to one line."""

import itertools
import json
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

from _program import wait_for

HOME = "eu-west-1"
GONE = "vpce-svc-0123456789abcdef0"
CONFIG = Config(retries={"total_max_attempts": 1, "mode": "standard"}, connect_timeout=5, read_timeout=20, parameter_validation=False)
# Nobody whom an emulator that runs already has seen.
NUMBERS = itertools.count(400_000_000_000 + int(time.time()) % 10**8 * 1_000)


class World:
    """An emulator, with a provider and a consumer whom it has not seen before. Both emulators know accounts by `AssumeRole`."""

    def __init__(self, url):
        self.url = url
        self.provider, self.consumer = self.party(), self.party()

    def party(self):
        return Party(self.url, str(next(NUMBERS)))

    def outcome(self, aspect):
        try:
            found = aspect(self)
        except ClientError as error:
            said = error.response
            return f"{said['Error']['Code']} ({said['ResponseMetadata']['HTTPStatusCode']})"
        except ResponseParserError:
            return "an answer that is not AWS's"
        except (KeyError, IndexError) as error:
            return f"no {error}"
        return found if isinstance(found, str) else json.dumps(found)

    def service(self, **more):
        arn = self.provider.load_balancer()
        return self.provider.ec2.create_vpc_endpoint_service_configuration(
            NetworkLoadBalancerArns=[arn], AcceptanceRequired=True, **more
        )["ServiceConfiguration"]

    def connected(self):
        """A service that the consumer may use, and an endpoint to it."""
        service = self.service()
        self.provider.ec2.modify_vpc_endpoint_service_permissions(
            ServiceId=service["ServiceId"], AddAllowedPrincipals=[f"arn:aws:iam::{self.consumer.account}:root"]
        )
        return service, self.consumer.endpoint(service["ServiceName"])


class Party:
    """An account."""

    def __init__(self, url, account):
        self.account = account
        self.numbers = itertools.count(1)
        options = {"endpoint_url": url, "region_name": HOME, "config": CONFIG}
        sts = boto3.client("sts", aws_access_key_id="test", aws_secret_access_key="test", **options)
        made = sts.assume_role(RoleArn=f"arn:aws:iam::{account}:role/conformance", RoleSessionName="conformance")["Credentials"]
        self.options = options | {
            "aws_access_key_id": made["AccessKeyId"],
            "aws_secret_access_key": made["SecretAccessKey"],
            "aws_session_token": made["SessionToken"],
        }

    def __getattr__(self, service):
        client = boto3.client(service, **self.options)
        setattr(self, service, client)
        return client

    def subnets(self):
        return self.ec2.describe_subnets()["Subnets"]

    def load_balancer(self):
        subnets = [subnet["SubnetId"] for subnet in self.subnets()]
        made = self.elbv2.create_load_balancer(Name=f"edge-{next(self.numbers)}", Type="network", Subnets=subnets)
        return made["LoadBalancers"][0]["LoadBalancerArn"]

    def endpoint(self, name):
        subnet = self.subnets()[0]
        return self.ec2.create_vpc_endpoint(
            VpcEndpointType="Interface", VpcId=subnet["VpcId"], SubnetIds=[subnet["SubnetId"]], ServiceName=name
        )["VpcEndpoint"]


def failed_items(answer):
    """The codes of failed items."""
    return [row["Error"]["Code"] for row in answer["Unsuccessful"]]


def who_an_assumed_role_is(world):
    arn = world.consumer.sts.get_caller_identity()["Arn"]
    return arn.replace(world.consumer.account, "ACCOUNT")


def zone_names_by_account(world):
    def zones(party):
        return {row["ZoneName"]: row["ZoneId"] for row in party.ec2.describe_availability_zones()["AvailabilityZones"]}

    several = [zones(world.party()) for _ in range(8)]
    return "shuffled" if any(one != several[0] for one in several) else "the same for everybody"


def network_load_balancer(world):
    """Once it is provisioned, which takes a moment here and none there."""
    arn = world.provider.load_balancer()

    def settled():
        found = world.provider.elbv2.describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"][0]
        return found["State"]["Code"] != "provisioning" and found["State"]["Code"]

    state, _ = wait_for("the load balancer being provisioned", settled, 10)
    return [arn.split("loadbalancer/")[1].split("/")[0], state]


def new_service(world):
    service = world.service()
    return {"id": f"{len(service['ServiceId'])} letters", "state": service["ServiceState"], "type": service["ServiceType"][0]["ServiceType"]}


def members_of_a_service(world):
    return sorted(world.service())


def client_token_again(world):
    asked = {"NetworkLoadBalancerArns": [world.provider.load_balancer()], "ClientToken": "once"}
    create = world.provider.ec2.create_vpc_endpoint_service_configuration
    ids = {create(**asked)["ServiceConfiguration"]["ServiceId"] for _ in range(2)}
    return f"{len(ids)} service"


def client_token_for_another_request(world):
    asked = {"NetworkLoadBalancerArns": [world.provider.load_balancer()], "ClientToken": "once"}
    create = world.provider.ec2.create_vpc_endpoint_service_configuration
    create(AcceptanceRequired=True, **asked)
    create(AcceptanceRequired=False, **asked)
    return "done"


def load_balancer_of_another_service(world):
    arns = world.service()["NetworkLoadBalancerArns"]
    world.provider.ec2.create_vpc_endpoint_service_configuration(NetworkLoadBalancerArns=arns)
    return "done"


def load_balancer_that_is_not_there(world):
    arn = world.provider.load_balancer()[:-16] + "0123456789abcdef"
    world.provider.ec2.create_vpc_endpoint_service_configuration(NetworkLoadBalancerArns=[arn])
    return "done"


def service_without_load_balancer(world):
    world.provider.ec2.create_vpc_endpoint_service_configuration(AcceptanceRequired=True)
    return "done"


def unknown_service_described(world):
    world.provider.ec2.describe_vpc_endpoint_service_configurations(ServiceIds=[GONE])
    return "done"


def unknown_service_modified(world):
    world.provider.ec2.modify_vpc_endpoint_service_configuration(ServiceId=GONE, AcceptanceRequired=True)
    return "done"


def page_of_services(world):
    for _ in range(6):
        world.service()
    page = world.provider.ec2.describe_vpc_endpoint_service_configurations(MaxResults=5)
    return [len(page["ServiceConfigurations"]), "token" if page.get("NextToken") else "no token"]


def services_by_name(world):
    wanted = world.service()["ServiceName"]
    world.service()
    filters = [{"Name": "service-name", "Values": [wanted]}]
    return f"{len(world.provider.ec2.describe_vpc_endpoint_service_configurations(Filters=filters)['ServiceConfigurations'])} found"


def unknown_filter(world):
    world.provider.ec2.describe_vpc_endpoint_service_configurations(Filters=[{"Name": "colour", "Values": ["red"]}])
    return "done"


def dry_run(world):
    world.provider.ec2.describe_vpc_endpoint_service_configurations(DryRun=True)
    return "done"


def permission_granted(world):
    id = world.service()["ServiceId"]
    principal = f"arn:aws:iam::{world.consumer.account}:root"
    added = world.provider.ec2.modify_vpc_endpoint_service_permissions(ServiceId=id, AddAllowedPrincipals=[principal])
    rows = world.provider.ec2.describe_vpc_endpoint_service_permissions(ServiceId=id)["AllowedPrincipals"]
    return {"answer": sorted(set(added) - {"ResponseMetadata"}), "row": sorted(rows[0])}


def session_as_principal(world):
    principal = f"arn:aws:sts::{world.consumer.account}:assumed-role/deploy/session"
    world.provider.ec2.modify_vpc_endpoint_service_permissions(
        ServiceId=world.service()["ServiceId"], AddAllowedPrincipals=[principal]
    )
    return "done"


def service_without_permission_described(world):
    found = world.consumer.ec2.describe_vpc_endpoint_services(ServiceNames=[world.service()["ServiceName"]])
    return f"{len(found['ServiceDetails'])} found"


def endpoint_without_permission(world):
    return world.consumer.endpoint(world.service()["ServiceName"])["State"]


def endpoint_that_needs_acceptance(world):
    return world.connected()[1]["State"]


def connections_listed(world):
    world.connected()
    rows = world.provider.ec2.describe_vpc_endpoint_connections()["VpcEndpointConnections"]
    return [row["VpcEndpointState"] for row in rows]


def connection_accepted(world):
    service, endpoint = world.connected()
    return failed_items(world.provider.ec2.accept_vpc_endpoint_connections(
        ServiceId=service["ServiceId"], VpcEndpointIds=[endpoint["VpcEndpointId"]]
    ))  # fmt: skip


def connection_rejected(world):
    service, endpoint = world.connected()
    return failed_items(world.provider.ec2.reject_vpc_endpoint_connections(
        ServiceId=service["ServiceId"], VpcEndpointIds=[endpoint["VpcEndpointId"]]
    ))  # fmt: skip


def notification_created(world):
    topic = world.provider.sns.create_topic(Name="connections")["TopicArn"]
    made = world.provider.ec2.create_vpc_endpoint_connection_notification(
        ServiceId=world.service()["ServiceId"], ConnectionNotificationArn=topic, ConnectionEvents=["Connect"]
    )["ConnectionNotification"]
    return made["ConnectionNotificationState"]


def notifications_listed(world):
    return world.provider.ec2.describe_vpc_endpoint_connection_notifications()["ConnectionNotificationSet"]


def private_dns_name(world):
    id = world.service(PrivateDnsName="api.example.com")["ServiceId"]
    describe = world.provider.ec2.describe_vpc_endpoint_service_configurations
    describe(ServiceIds=[id])
    shown = describe(ServiceIds=[id])["ServiceConfigurations"][0]["PrivateDnsNameConfiguration"]
    return {"state": shown["State"], "name": f"{len(shown['Name'])} letters", "type": shown["Type"]}


def private_dns_verification(world):
    id = world.service(PrivateDnsName="api.example.com")["ServiceId"]
    return world.provider.ec2.start_vpc_endpoint_service_private_dns_verification(ServiceId=id)["ReturnValue"]


def private_dns_name_removed(world):
    id = world.service(PrivateDnsName="api.example.com")["ServiceId"]
    world.provider.ec2.modify_vpc_endpoint_service_configuration(ServiceId=id, RemovePrivateDnsName=True)
    found = world.provider.ec2.describe_vpc_endpoint_service_configurations(ServiceIds=[id])["ServiceConfigurations"][0]
    return found.get("PrivateDnsName") or "removed"


def payer_of_a_service(world):
    id = world.service()["ServiceId"]
    modify = world.provider.ec2.modify_vpc_endpoint_service_payer_responsibility
    return modify(ServiceId=id, PayerResponsibility="ServiceOwner")["ReturnValue"]


def service_deleted_with_endpoints(world):
    service, _ = world.connected()
    return failed_items(world.provider.ec2.delete_vpc_endpoint_service_configurations(ServiceIds=[service["ServiceId"]]))


def unknown_service_deleted(world):
    return failed_items(world.provider.ec2.delete_vpc_endpoint_service_configurations(ServiceIds=[GONE]))


def load_balancer_in_use_deleted(world):
    world.provider.elbv2.delete_load_balancer(LoadBalancerArn=world.service()["NetworkLoadBalancerArns"][0])
    return "done"


def unknown_endpoint_described(world):
    world.consumer.ec2.describe_vpc_endpoints(VpcEndpointIds=["vpce-0123456789abcdef0"])
    return "done"


def unknown_endpoint_deleted(world):
    return failed_items(world.consumer.ec2.delete_vpc_endpoints(VpcEndpointIds=["vpce-0123456789abcdef0"]))


def members_of_an_endpoint(world):
    return sorted(world.connected()[1])


def gateway_endpoint(world):
    vpc = world.consumer.subnets()[0]["VpcId"]
    made = world.consumer.ec2.create_vpc_endpoint(VpcId=vpc, ServiceName=f"com.amazonaws.{HOME}.s3")["VpcEndpoint"]
    return [made["VpcEndpointType"], made["State"]]


def prefix_lists(world):
    return sorted(row["PrefixListName"] for row in world.consumer.ec2.describe_prefix_lists()["PrefixLists"])


def associations(world):
    return world.consumer.ec2.describe_vpc_endpoint_associations()["VpcEndpointAssociations"]


def unknown_topic(world):
    world.provider.sns.get_topic_attributes(TopicArn=f"arn:aws:sns:{HOME}:{world.provider.account}:none")
    return "done"


def unknown_queue(world):
    world.provider.sqs.get_queue_url(QueueName="none")
    return "done"


def queue_purged_twice(world):
    queue = world.provider.sqs.create_queue(QueueName="purged")["QueueUrl"]
    world.provider.sqs.purge_queue(QueueUrl=queue)
    world.provider.sqs.purge_queue(QueueUrl=queue)
    return "done"


def message_through_a_topic(world):
    me = world.provider
    topic = me.sns.create_topic(Name="news")["TopicArn"]
    queue = me.sqs.create_queue(QueueName="news")["QueueUrl"]
    arn = me.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    me.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    me.sns.publish(TopicArn=topic, Message="hello")
    return f"{len(me.sqs.receive_message(QueueUrl=queue).get('Messages', []))} message without a queue policy"


ASPECTS = [
    made for made in list(globals().values())
    if callable(made) and getattr(made, "__module__", "") == __name__ and not isinstance(made, type) and made is not failed_items
]  # fmt: skip


def page(table):
    """The table as a page."""
    lines = [
        "# The simulator and moto",
        "",
        "The same calls, asked of both by `tests/conformance/moto.py` with boto3; moto's version is in `requirements-moto.txt` beside it.",
        "Only differences are listed, each with who is right and how that is known. Made from `moto.json`: change that, not this.",
        "",
        "| asked | the simulator | moto | right | evidence |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name in sorted(table):
        row = table[name]
        cells = [name.replace("_", " "), f"`{row['simulator']}`", f"`{row['moto']}`", row["right"], row["evidence"]]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"
