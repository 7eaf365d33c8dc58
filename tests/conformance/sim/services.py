"""Endpoint services: life, load balancers, Regions, payer, ClientToken."""

from .lab import AWAY, connected

GONE = "vpce-svc-0123456789abcdef0"


def check(lab):
    life(lab)
    load_balancers(lab)
    client_token(lab)
    payer(lab)
    deletion(lab)
    consumer_view(lab)


def life(lab):
    me = lab.party()
    balancers = [me.load_balancer(IpAddressType="dualstack"), me.load_balancer(IpAddressType="dualstack")]
    tags = [{"ResourceType": "vpc-endpoint-service", "Tags": [{"Key": "team", "Value": "edge"}]}]
    made = me.ec2.create_vpc_endpoint_service_configuration(
        AcceptanceRequired=True,
        NetworkLoadBalancerArns=balancers[:1],
        SupportedIpAddressTypes=["ipv4"],
        TagSpecifications=tags,
        ClientToken="life",
    )
    service, id = made["ServiceConfiguration"], made["ServiceConfiguration"]["ServiceId"]
    far = me.ec2.create_vpc_endpoint_service_configuration(
        NetworkLoadBalancerArns=[me.load_balancer()], SupportedRegions=[AWAY], PrivateDnsName="far.example.com"
    )["ServiceConfiguration"]
    lab.advance(1_000)
    far = me.ec2.describe_vpc_endpoint_service_configurations(ServiceIds=[far["ServiceId"]])["ServiceConfigurations"][0]
    lab.that("open from the beginning", {"Region": AWAY, "ServiceState": "Available"} in far["SupportedRegions"], True)
    lab.that("the token comes back", made["ClientToken"], "life")
    lab.that("a service is available at once", service["ServiceState"], "Available")
    lab.that("its type", service["ServiceType"], [{"ServiceType": "Interface"}])
    lab.that("the service name", service["ServiceName"], f"com.amazonaws.vpce.{me.region}.{id}")
    lab.that("zones by name and by id", len(service["AvailabilityZones"]), len(service["AvailabilityZoneIds"]))
    lab.that("tags", service["Tags"], [{"Key": "team", "Value": "edge"}])

    modify = me.ec2.modify_vpc_endpoint_service_configuration
    modify(ServiceId=id, AcceptanceRequired=False, AddNetworkLoadBalancerArns=balancers[1:])
    modify(ServiceId=id, RemoveNetworkLoadBalancerArns=balancers[:1], AddSupportedIpAddressTypes=["ipv6"])
    modify(ServiceId=id, RemoveSupportedIpAddressTypes=["ipv6"], AddSupportedRegions=[AWAY])
    modify(ServiceId=id)
    lab.advance(1_000)
    found = me.ec2.describe_vpc_endpoint_service_configurations(ServiceIds=[id])["ServiceConfigurations"][0]
    lab.that("acceptance", found["AcceptanceRequired"], False)
    lab.that("load balancers", found["NetworkLoadBalancerArns"], balancers[1:])
    lab.that("remote access", found["RemoteAccessEnabled"], True)
    lab.that("the Region is open", {"Region": AWAY, "ServiceState": "Available"} in found["SupportedRegions"], True)
    modify(ServiceId=id, RemoveSupportedRegions=[AWAY])
    lab.advance(1_000)
    found = me.ec2.describe_vpc_endpoint_service_configurations(ServiceIds=[id])["ServiceConfigurations"][0]
    lab.that("a closed Region stays listed", {"Region": AWAY, "ServiceState": "Closed"} in found["SupportedRegions"], True)

    lab.refused("InvalidParameter", modify, 400, ServiceId=id, RemoveSupportedRegions=[AWAY])
    lab.refused("InvalidParameter", modify, 400, ServiceId=id, RemoveSupportedRegions=[me.region])
    lab.refused("InvalidVpcEndpointServiceId.NotFound", modify, 400, ServiceId=GONE)
    lab.refused("MissingParameter", modify, 400)
    lab.refused("InvalidParameterCombination", modify, 400, ServiceId=id, PrivateDnsName="a.example.com", RemovePrivateDnsName=True)
    describe = me.ec2.describe_vpc_endpoint_service_configurations
    lab.refused("InvalidVpcEndpointServiceId.NotFound", describe, 400, ServiceIds=[id, GONE])
    lab.refused("InvalidVpcEndpointServiceIdId.Malformed", describe, 400, ServiceIds=["vpce-svc-x"])
    start = me.ec2.start_vpc_endpoint_service_private_dns_verification
    lab.refused("InvalidVpcEndpointServiceId.NotFound", start, 400, ServiceId=GONE)
    stranger = lab.party()
    lab.refused(
        "InvalidVpcEndpointServiceId.NotFound", stranger.ec2.describe_vpc_endpoint_service_configurations, ServiceIds=[id]
    )


def load_balancers(lab):
    me = lab.party()
    create = me.ec2.create_vpc_endpoint_service_configuration
    lab.refused("InvalidParameter", create, 400, AcceptanceRequired=True)
    arn = me.load_balancer()
    first = create(NetworkLoadBalancerArns=[arn])["ServiceConfiguration"]
    lab.that("acceptance is the default", first["AcceptanceRequired"], True)
    said = lab.refused("InvalidParameter", create, 400, NetworkLoadBalancerArns=[arn])
    lab.that("AWS's words", "already associated with another VPC Endpoint Service Configuration" in said, True)
    lab.refused("InvalidNetworkLoadBalancerArn.Malformed", create, 400, NetworkLoadBalancerArns=["edge"])
    lab.refused("InvalidNetworkLoadBalancerArn.NotFound", create, 400, NetworkLoadBalancerArns=[elsewhere(arn)])
    lab.refused("ResourceInUse", me.elbv2.delete_load_balancer, 400, LoadBalancerArn=arn)
    modify = me.ec2.modify_vpc_endpoint_service_configuration
    lab.refused("InvalidParameter", modify, 400, ServiceId=first["ServiceId"], RemoveNetworkLoadBalancerArns=[arn])
    provider, _, service, _ = connected(lab)
    modify = provider.ec2.modify_vpc_endpoint_service_configuration
    arns = service["NetworkLoadBalancerArns"]
    lab.refused("ExistingVpcEndpointConnections", modify, 400, ServiceId=service["ServiceId"], RemoveNetworkLoadBalancerArns=arns)


def elsewhere(arn):
    """The same ARN with another id."""
    return arn[:-16] + "0123456789abcdef"


def client_token(lab):
    me = lab.party()
    create = me.ec2.create_vpc_endpoint_service_configuration
    asked = {"NetworkLoadBalancerArns": [me.load_balancer()], "AcceptanceRequired": True, "ClientToken": "once"}
    first, second = create(**asked), create(**asked)
    ids = {made["ServiceConfiguration"]["ServiceId"] for made in (first, second)}
    lab.that("a replay is the same service", len(ids), 1)
    lab.refused("IdempotentParameterMismatch", create, 400, **(asked | {"AcceptanceRequired": False}))


def payer(lab):
    provider, consumer, service, endpoint = connected(lab)
    modify = provider.ec2.modify_vpc_endpoint_service_payer_responsibility
    lab.that("it answers", modify(ServiceId=service["ServiceId"], PayerResponsibility="ServiceOwner")["ReturnValue"], True)
    lab.refused("InvalidVpcEndpointServiceId.NotFound", modify, 400, ServiceId=GONE, PayerResponsibility="ServiceOwner")
    lab.refused("InvalidParameterValue", modify, 400, ServiceId=service["ServiceId"], PayerResponsibility="Somebody")
    found = provider.ec2.describe_vpc_endpoint_service_configurations(ServiceIds=[service["ServiceId"]])
    lab.that("the owner pays", found["ServiceConfigurations"][0]["PayerResponsibility"], "ServiceOwner")

    provider, consumer, service, endpoint = connected(lab)
    one = provider.ec2.modify_vpc_endpoint_payer_responsibility
    asked = {
        "ServiceId": service["ServiceId"],
        "VpcEndpointId": endpoint["VpcEndpointId"],
        "Scope": "vpc-endpoint-charges",
        "PayerResponsibility": "vpc-endpoint-service-account",
    }
    answer = one(**asked)
    lab.that("the endpoint", answer["VpcEndpointId"], endpoint["VpcEndpointId"])
    lab.refused("OperationNotPermitted", one, 400, **(asked | {"PayerResponsibility": "vpc-endpoint-account"}))
    lab.refused("InvalidParameterValue", one, 400, **(asked | {"Scope": "everything"}))
    lab.refused("InvalidVpcEndpointId.NotFound", one, 400, **(asked | {"VpcEndpointId": "vpce-0123456789abcdef0"}))
    provider.ec2.describe_vpc_endpoint_connections()
    consumer.ec2.describe_vpc_endpoints()


def deletion(lab):
    provider, consumer, service, endpoint = connected(lab)
    id, delete = service["ServiceId"], provider.ec2.delete_vpc_endpoint_service_configurations
    lab.item(delete(ServiceIds=[id]), id, "ExistingVpcEndpointConnections")
    lab.item(delete(ServiceIds=[GONE]), GONE, "InvalidVpcEndpointService.NotFound")
    lab.refused("MissingParameter", delete, 400)
    provider.reject(service, endpoint)
    lab.item(delete(ServiceIds=[id]), id, "ExistingVpcEndpointConnections")
    lab.advance(1_000)
    lab.that("nothing is in the way", delete(ServiceIds=[id])["Unsuccessful"], [])
    found = provider.ec2.describe_vpc_endpoint_service_configurations(Filters=[{"Name": "service-state", "Values": ["Deleting"]}])
    lab.that("it is going", [row["ServiceId"] for row in found["ServiceConfigurations"]], [id])
    rows = provider.ec2.describe_vpc_endpoint_connections()["VpcEndpointConnections"]
    lab.that("a rejected row outlives it", [row["VpcEndpointState"] for row in rows], ["rejected"])
    lab.advance(120_000)
    describe = provider.ec2.describe_vpc_endpoint_service_configurations
    lab.refused("InvalidVpcEndpointServiceId.NotFound", describe, 400, ServiceIds=[id])


def consumer_view(lab):
    provider, consumer, service, _ = connected(lab, TagSpecifications=[
        {"ResourceType": "vpc-endpoint-service", "Tags": [{"Key": "shown", "Value": "no"}]}
    ])  # fmt: skip
    describe = consumer.ec2.describe_vpc_endpoint_services
    seen = describe(ServiceNames=[service["ServiceName"]], ServiceRegions=[consumer.region])["ServiceDetails"][0]
    lab.that("its owner", seen["Owner"], provider.account)
    lab.refused("InvalidServiceName", lab.party().ec2.describe_vpc_endpoint_services, 400, ServiceNames=[service["ServiceName"]])
    everybody = provider.service("*")
    stranger = lab.party().ec2.describe_vpc_endpoint_services
    names = [row["ServiceName"] for row in stranger()["ServiceDetails"]]
    lab.that("a grant to everybody is not listed", everybody["ServiceName"] in names, False)
    found = stranger(ServiceNames=[everybody["ServiceName"]])["ServiceNames"]
    lab.that("but found by its name", found, [everybody["ServiceName"]])
