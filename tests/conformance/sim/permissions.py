"""Allowed principals: what may be granted, and what a grant is good for."""

from .lab import connected


def check(lab):
    me = lab.party()
    id = me.service()["ServiceId"]
    other = lab.account()
    modify, describe = me.ec2.modify_vpc_endpoint_service_permissions, me.ec2.describe_vpc_endpoint_service_permissions
    forms = {
        f"arn:aws:iam::{other}:root": "Account",
        f"arn:aws:iam::{other}:user/ann": "User",
        f"arn:aws:iam::{other}:role/deploy": "Role",
        "*": "All",
    }
    added = modify(ServiceId=id, AddAllowedPrincipals=list(forms))
    lab.that("all are added", added["ReturnValue"], True)
    lab.that("their types", {row["Principal"]: row["PrincipalType"] for row in added["AddedPrincipals"]}, forms)
    again = modify(ServiceId=id, AddAllowedPrincipals=["*"], RemoveAllowedPrincipals=[f"arn:aws:iam::{lab.account()}:root"])
    lab.that("again, and one that is not there", again["ReturnValue"], True)
    rows = describe(ServiceId=id)["AllowedPrincipals"]
    lab.that("the list", {row["Principal"]: row["PrincipalType"] for row in rows}, forms)
    me.ec2.create_tags(Resources=[rows[0]["ServicePermissionId"]], Tags=[{"Key": "customer", "Value": "c-1"}])
    found = describe(ServiceId=id, Filters=[{"Name": "principal", "Values": [rows[0]["Principal"]]}])["AllowedPrincipals"]
    lab.that("a tagged grant", found[0]["Tags"], [{"Key": "customer", "Value": "c-1"}])
    modify(ServiceId=id, RemoveAllowedPrincipals=["*"])
    lab.that("one less", len(describe(ServiceId=id)["AllowedPrincipals"]), len(forms) - 1)

    for principal in (f"arn:aws:sts::{other}:assumed-role/deploy/session", f"arn:aws:iam::{other}:role/path/deploy"):
        lab.refused("InvalidPrincipal", modify, 400, ServiceId=id, AddAllowedPrincipals=[principal])
    unsupported = f"arn:aws:iam::{other}:group/staff"
    lab.refused("UnknownPrincipalType.Unsupported", modify, 400, ServiceId=id, AddAllowedPrincipals=[unsupported])
    gone = "vpce-svc-0123456789abcdef0"
    lab.refused("InvalidVpcEndpointServiceId.NotFound", modify, 400, ServiceId=gone, AddAllowedPrincipals=["*"])
    lab.refused("InvalidVpcEndpointServiceId.NotFound", describe, 400, ServiceId=gone)
    lab.refused("MissingParameter", describe, 400)

    provider, consumer, service, endpoint = connected(lab, acceptance=False)
    provider.ec2.modify_vpc_endpoint_service_permissions(
        ServiceId=service["ServiceId"], RemoveAllowedPrincipals=[consumer.root()]
    )
    lab.advance(1_000)
    lab.that("what is connected stays so", consumer.state(endpoint), "available")
    create = consumer.ec2.create_vpc_endpoint
    asked = {"VpcEndpointType": "Interface", "VpcId": endpoint["VpcId"], "ServiceName": service["ServiceName"]}
    lab.refused("InvalidServiceName", create, 400, SubnetIds=endpoint["SubnetIds"], **asked)
