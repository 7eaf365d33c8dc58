"""Private DNS names: the record, the proof, its loss, and the consumer's chicken and egg."""

from .lab import connected


def configuration(me, service):
    """What the provider is shown of the name's proof."""
    me.ec2.describe_vpc_endpoint_service_configurations(ServiceIds=[service["ServiceId"]])
    found = me.ec2.describe_vpc_endpoint_service_configurations(ServiceIds=[service["ServiceId"]])
    return found["ServiceConfigurations"][0]["PrivateDnsNameConfiguration"]


def check(lab):
    provider, consumer = lab.party(), lab.party()
    domain = f"api-{provider.account}.example.com"
    service = provider.service(consumer.root(), acceptance=False, PrivateDnsName=domain)
    id = service["ServiceId"]
    lab.that("hidden at first", "PrivateDnsNameConfiguration" in service and bool(service["PrivateDnsNameConfiguration"]), False)
    shown = configuration(provider, service)
    lab.that("unproven", (shown["State"], shown["Type"]), ("pendingVerification", "TXT"))
    subnet = consumer.subnets()[0]
    create = consumer.ec2.create_vpc_endpoint
    asked = {
        "VpcEndpointType": "Interface",
        "ServiceName": service["ServiceName"],
        "VpcId": subnet["VpcId"],
        "SubnetIds": [subnet["SubnetId"]],
        "PrivateDnsEnabled": True,
    }
    lab.refused("InvalidParameter", create, 400, **asked)
    start = provider.ec2.start_vpc_endpoint_service_private_dns_verification
    lab.that("started", start(ServiceId=id)["ReturnValue"], True)
    lab.advance(1_000)
    lab.that("without a record", configuration(provider, service)["State"], "failed")
    record = f"{shown['Name']}.{domain}"
    lab.control("PUT", "/dns", {"name": record, "value": shown["Value"]})
    start(ServiceId=id)
    lab.advance(1_000)
    lab.that("proven", configuration(provider, service)["State"], "verified")
    endpoint = create(**asked)["VpcEndpoint"]
    lab.advance(1_000)
    names = [entry["DnsName"] for entry in consumer.ec2.describe_vpc_endpoints()["VpcEndpoints"][0]["DnsEntries"]]
    lab.that("the private name is the last", names[-1], domain)
    seen = consumer.ec2.describe_vpc_endpoint_services(ServiceNames=[service["ServiceName"]])["ServiceDetails"][0]
    lab.that("the consumer sees it", (seen["PrivateDnsName"], seen["PrivateDnsNameVerificationState"]), (domain, "verified"))
    modify = provider.ec2.modify_vpc_endpoint_service_configuration
    lab.refused("ExistingVpcEndpointConnections", modify, 400, ServiceId=id, RemovePrivateDnsName=True)
    lab.control("DELETE", "/dns", {"name": record})
    lab.advance(1_000)
    lab.that("lost", configuration(provider, service)["State"], "pendingVerification")
    lab.refused("InvalidParameter", create, 400, **asked)
    consumer.ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint["VpcEndpointId"]])
    lab.advance(10_000)
    modify(ServiceId=id, RemovePrivateDnsName=True)
    lab.refused("InvalidParameter", start, 400, ServiceId=id)
    modify(ServiceId=id, PrivateDnsName=f"other.{domain}")
    lab.refused("InvalidParameterValue", modify, 400, ServiceId=id, PrivateDnsName="not a name")

    provider, consumer, service, endpoint = connected(lab)
    change = consumer.ec2.modify_vpc_endpoint
    lab.refused("InvalidParameter", change, 400, VpcEndpointId=endpoint["VpcEndpointId"], PrivateDnsEnabled=True)
