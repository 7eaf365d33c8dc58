"""The parties: AWS accounts through boto3, Portcullis through its REST API, and the simulator's controls."""

import json
import urllib.error
import urllib.request

import boto3
from botocore.config import Config

from _program import Failed, wait_for

PROVIDER = "111111111111"
REGION = "eu-west-1"


def request(method, url, body=None, headers=None, timeout=10):
    """One HTTP request: status, headers, and the body read as JSON where it is JSON."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    headers = dict(headers or {})
    if data is not None and not isinstance(body, bytes):
        headers.setdefault("content-type", "application/json")
    made = urllib.request.Request(url, data=data, headers=headers, method=method)
    try:
        with urllib.request.urlopen(made, timeout=timeout) as answer:
            status, head, text = answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        status, head, text = error.code, error.headers, error.read()
    if "json" in (head.get("content-type") or ""):
        return status, head, json.loads(text)
    return status, head, text.decode(errors="replace")


class Rest:
    """Portcullis' API, as somebody with a token."""

    def __init__(self, api, token):
        self.api, self.token = api, token

    def call(self, method, path, body=None):
        headers = {"authorization": f"Bearer {self.token}"}
        return request(method, self.api + path, body, headers)

    def get(self, path):
        status, _, body = self.call("GET", path)
        if status != 200:
            raise Failed(f"GET {path}: {status} {body}")
        return body

    def post(self, path, body, wanted=(200, 201)):
        status, _, answer = self.call("POST", path, body)
        if status not in wanted:
            raise Failed(f"POST {path}: {status} {answer}")
        return answer

    def connection(self, endpoint_id):
        """The connection of an endpoint, if it is listed yet."""
        rows = self.get(f"/v1/connections?endpoint_id={endpoint_id}")["items"]
        return rows[0] if rows else None

    def wait_for_summary(self, connection_id, summary, seconds):
        def look():
            return self.get(f"/v1/connections/{connection_id}")["summary"] == summary

        _, took = wait_for(f"{connection_id} becoming {summary}", look, seconds)
        return took

    def register_service(self, name, account_region, arn):
        """Registers a service to be created from a load balancer, and waits until it is available and ready."""
        body = {
            "account_id": account_region["account_id"],
            "region": account_region["region"],
            "name": name,
            "load_balancer_arns": [arn],
            "allowed_principals": ["*"],
        }
        made = self.post("/v1/services", body)

        def look():
            service = self.get(f"/v1/services/{made['id']}")
            if service["sync"]["state"] == "stalled":
                raise Failed(f"the service stalled: {service['sync']}")
            seen = service["observed"]
            return service if seen and seen["state"] == "Available" and service["ready"] else None

        service, _ = wait_for(f"{name} becoming available and ready", look, 30)
        return service


class Sim:
    """The simulator's control API."""

    def __init__(self, url):
        self.url = url

    def control(self, method, path, body=None):
        status, _, answer = request(method, f"{self.url}/_sim{path}", body)
        if status >= 300:
            raise Failed(f"{method} /_sim{path}: {status} {answer}")
        return answer

    def fault(self, **fault):
        return self.control("POST", "/faults", fault)["id"]

    def clear_faults(self):
        self.control("DELETE", "/faults")

    def events(self, action=None, endpoint_id=None):
        """The calls that were made, oldest first."""
        kept = self.control("GET", "/events?limit=100000")
        return [
            event
            for event in kept
            if (action is None or event["action"] == action) and (endpoint_id is None or endpoint_id in event["ids"])
        ]

    def client(self, service, account, region=REGION):
        """boto3 as any account: the access key is the account."""
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id=account,
            aws_secret_access_key="simulated",
            config=Config(retries={"max_attempts": 1}, connect_timeout=5, read_timeout=10),
        )

    def load_balancer(self, account, name, region=REGION):
        """A Network Load Balancer in two zones with a TCP listener and a healthy target in each; its ARN."""
        elb, ec2 = self.client("elbv2", account, region), self.client("ec2", account, region)
        subnets = ec2.describe_subnets()["Subnets"][:2]
        made = elb.create_load_balancer(
            Name=name, Type="network", Scheme="internal", Subnets=[subnet["SubnetId"] for subnet in subnets]
        )
        arn = made["LoadBalancers"][0]["LoadBalancerArn"]
        elb.modify_load_balancer_attributes(
            LoadBalancerArn=arn, Attributes=[{"Key": "load_balancing.cross_zone.enabled", "Value": "true"}]
        )
        made = elb.create_target_group(Name=name, Protocol="TCP", Port=8443, VpcId=subnets[0]["VpcId"], TargetType="ip")
        group = made["TargetGroups"][0]["TargetGroupArn"]
        targets = [{"Id": subnet["CidrBlock"].rsplit(".", 1)[0] + ".10"} for subnet in subnets]
        elb.register_targets(TargetGroupArn=group, Targets=targets)
        forward = {"Type": "forward", "TargetGroupArn": group}
        elb.create_listener(LoadBalancerArn=arn, Protocol="TCP", Port=443, DefaultActions=[forward])
        return arn

    def subnet_for(self, account, service_name, region=REGION):
        """A subnet of the account in a zone of the service."""
        ec2 = self.client("ec2", account, region)
        offered = ec2.describe_vpc_endpoint_services(ServiceNames=[service_name])["ServiceDetails"][0]
        for subnet in ec2.describe_subnets()["Subnets"]:
            if subnet["AvailabilityZone"] in offered["AvailabilityZones"]:
                return subnet
        raise Failed(f"{account} has no subnet in the zones of {service_name}")

    def interface_endpoint(self, account, service_name, region=REGION):
        """A consumer asks for a connection; the endpoint's id."""
        subnet = self.subnet_for(account, service_name, region)
        made = self.client("ec2", account, region).create_vpc_endpoint(
            VpcEndpointType="Interface",
            ServiceName=service_name,
            VpcId=subnet["VpcId"],
            SubnetIds=[subnet["SubnetId"]],
        )
        return made["VpcEndpoint"]["VpcEndpointId"]

    def endpoint_state(self, account, endpoint_id, region=REGION):
        """The state that the consumer sees."""
        found = self.client("ec2", account, region).describe_vpc_endpoints(VpcEndpointIds=[endpoint_id])
        return found["VpcEndpoints"][0]["State"]


# What a reviewer has looked at.
CHECKLIST = ["texts", "pricing", "legal", "support", "services", "data"]


def listing_content(service_id, plan):
    """What a listing of one service says, sold by one plan."""
    return {
        "title": "Ledger over PrivateLink",
        "short": "A ledger",
        "long": "A double-entry ledger for banks",
        "highlights": ["No traffic over the internet"],
        "keywords": ["ledger"],
        "categories": ["Financial Services"],
        "usage_instructions": "Make an interface endpoint to the service name.",
        "fulfilment_url": "https://provider.example/welcome",
        "support_text": "Around the clock",
        "support_url": "https://provider.example/help",
        "refund_policy": "Within 30 days",
        "eula": {"kind": "standard", "version": "2022-07-14"},
        "services": [{"service_id": service_id, "ports": [{"protocol": "tcp", "port": 443}]}],
        "plans": [plan],
    }


def register(rest, sim, account=PROVIDER, region=REGION, name="Ledger EU"):
    """An AccountRegion, and a service in it that Portcullis creates."""
    place = rest.post("/v1/account-regions", {"account_id": account, "region": region})
    return rest.register_service(name, place, sim.load_balancer(account, "ledger", region))


def request_connection(rest, sim, account, service):
    """A consumer asks; returns the connection as soon as it waits for a decision, and the seconds that took."""
    endpoint = sim.interface_endpoint(account, service["service_name"], service["region"])

    def look():
        rows = rest.get(f"/v1/connections?summary=waiting&endpoint_id={endpoint}")["items"]
        return rows[0] if rows else None

    return wait_for(f"{endpoint} being listed as waiting", look, 30)
