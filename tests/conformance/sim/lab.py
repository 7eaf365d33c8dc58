"""The simulator, the parties in it, and the few checks that every area makes."""

import contextlib
import datetime
import http.client
import itertools
import json
import urllib.parse

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError

from _program import Failed
from _world import Sim

from .judge import Judge

HOME, AWAY = "eu-west-1", "us-east-1"
SERVICES = {"ec2": "ec2", "elb": "elbv2", "elbv2": "elbv2", "elasticloadbalancing": "elbv2", "sns": "sns", "sqs": "sqs", "sts": "sts"}
SCOPES = {"elbv2": "elasticloadbalancing"}


class Lab:
    """One simulator under test."""

    def __init__(self, url):
        self.url = url
        self.sim = Sim(url)
        self.session = botocore.session.get_session()
        self.models = {name: self.session.get_service_model(name) for name in ("ec2", "elbv2", "sns", "sqs", "sts")}
        self.judge = Judge(self.models)
        self.numbers = itertools.count(1)
        self.boto = boto3.session.Session(botocore_session=self.session)
        self.clients = {}
        self.owners = {}
        self.control = self.sim.control
        self.checks = 0

    def actions(self):
        """Every simulated action, as `service.Action` with botocore's name of the service."""
        answer = self.control("GET", "/actions")
        found = []
        for service, names in answer.get("services", answer).items():
            found += [f"{SERVICES[service]}.{name}" for name in names]
        return sorted(found)

    def account(self):
        """An account that nobody used yet."""
        return f"{300_000_000_000 + next(self.numbers)}"

    def client(self, service, account, region=HOME, **credentials):
        """boto3 as an account, watched by the judge. A call is made once: what fails must be seen to fail."""
        key = (service, account, region, tuple(sorted(credentials.items())))
        if key not in self.clients:
            client = self.boto.client(
                service,
                region_name=region,
                endpoint_url=self.url,
                aws_access_key_id=account,
                **({"aws_secret_access_key": "simulated"} | credentials),
                config=Config(
                    retries={"total_max_attempts": 1, "mode": "standard"},
                    connect_timeout=5,
                    read_timeout=15,
                    parameter_validation=False,
                    max_pool_connections=2,
                ),
            )
            self.judge.attach(client)
            # Whose call a recorded request was, to make it again.
            client.meta.events.register("after-call", lambda **call: self._remember(account, region, **call))
            self.clients[key] = client
        return self.clients[key]

    def _remember(self, account, region, http_response, model, **_):
        # Only an account can be anybody's key again: others have a secret.
        if http_response.status_code < 300 and account.isdigit():
            self.owners[f"{model.service_model.service_name}.{model.name}"] = (account, region)

    def party(self, region=HOME):
        """A fresh account."""
        return Party(self, self.account(), region)

    def advance(self, milliseconds):
        """Moves the stopped clock."""
        self.control("POST", "/clock", {"advance_ms": milliseconds})

    @contextlib.contextmanager
    def behavior(self, **switches):
        """The switches, for a while."""
        self.control("PUT", "/behavior", switches)
        try:
            yield
        finally:
            self.control("PUT", "/behavior", {})

    @contextlib.contextmanager
    def fault(self, **fault):
        """A fault, for a while."""
        self.sim.fault(**fault)
        try:
            yield
        finally:
            self.sim.clear_faults()

    # Checks.

    def that(self, what, found, wanted):
        """One check that says nothing when it holds."""
        self.checks += 1
        if found != wanted:
            raise Failed(f"{what}: found {found!r}, wanted {wanted!r}")

    def refused(self, code, call, status=None, **params):
        """A call that is refused with this code and status; its message."""
        self.checks += 1
        try:
            answer = call(**params)
        except ClientError as error:
            found, head = error.response["Error"], error.response["ResponseMetadata"]
            said = (found["Code"], head["HTTPStatusCode"])
            if found["Code"] != code or (status or said[1]) != said[1]:
                raise Failed(f"{error.operation_name} {params}: found {said} {found['Message']}, wanted {code} {status or ''}") from None
            return found["Message"]
        raise Failed(f"{getattr(call, '__name__', call)} {params}: answered {answer}, wanted {code}")

    def item(self, answer, resource, code):
        """A success with one failed item."""
        found = [(row["ResourceId"], row["Error"]["Code"]) for row in answer["Unsuccessful"]]
        self.that("the failed items", found, [(resource, code)])

    def post(self, body, service="ec2", account="300000000000", region=HOME, headers=None, path="/"):
        """A request that no SDK would send; its status, headers and body."""
        date = datetime.date.today().strftime("%Y%m%d")
        scope = f"{account}/{date}/{region}/{SCOPES.get(service, service)}/aws4_request"
        made = {
            "authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0",
            "content-type": "application/x-www-form-urlencoded",
            **(headers or {}),
        }
        made = {name: value for name, value in made.items() if value is not None}
        data = body if isinstance(body, bytes) else urllib.parse.urlencode(body).encode()
        where = urllib.parse.urlsplit(self.url)
        connection = http.client.HTTPConnection(where.hostname, where.port, timeout=15)
        try:
            connection.request("POST", path, data, made)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read().decode(errors="replace")
        finally:
            connection.close()

    def call(self, name, params, account=None, region=None):
        """Any action by its full name, as the account that made it before."""
        service, action = name.split(".")
        owner, place = self.owners.get(name, ("300000000000", HOME))
        client = self.client(service, account or owner, region or place)
        method = botocore.xform_name(action)
        return getattr(client, method)(**params)


class Party:
    """An account in one Region, with the worn paths to what most areas begin with."""

    def __init__(self, lab, account, region=HOME):
        self.lab, self.account, self.region = lab, account, region
        self.names = itertools.count(1)

    def __getattr__(self, service):
        if service.startswith("_"):
            raise AttributeError(service)
        return self.lab.client(service, self.account, self.region)

    def at(self, region):
        """The same account elsewhere."""
        return Party(self.lab, self.account, region)

    def root(self):
        """Its principal."""
        return f"arn:aws:iam::{self.account}:root"

    def subnets(self):
        """The default VPC's subnets, in the order of the zone ids."""
        found = self.ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"]
        return sorted(found, key=lambda subnet: subnet["AvailabilityZoneId"])

    def load_balancer(self, name=None, subnets=None, **more):
        """A Network Load Balancer in the default VPC; its ARN."""
        subnets = subnets or [subnet["SubnetId"] for subnet in self.subnets()]
        made = self.elbv2.create_load_balancer(
            Name=name or f"edge-{next(self.names)}", Type="network", Scheme="internal", Subnets=subnets, **more
        )
        return made["LoadBalancers"][0]["LoadBalancerArn"]

    def service(self, *principals, acceptance=True, **more):
        """An endpoint service with a load balancer of its own, open to these principals."""
        made = self.ec2.create_vpc_endpoint_service_configuration(
            AcceptanceRequired=acceptance,
            NetworkLoadBalancerArns=more.pop("NetworkLoadBalancerArns", None) or [self.load_balancer()],
            **more,
        )["ServiceConfiguration"]
        if principals:
            self.ec2.modify_vpc_endpoint_service_permissions(
                ServiceId=made["ServiceId"], AddAllowedPrincipals=list(principals)
            )
        return made

    def endpoint(self, service, **more):
        """An interface endpoint to a service; as the answer to its creation shows it."""
        subnet = self.subnets()[0]
        asked = {
            "VpcEndpointType": "Interface",
            "ServiceName": service["ServiceName"],
            "VpcId": subnet["VpcId"],
            "SubnetIds": [subnet["SubnetId"]],
        }
        return self.ec2.create_vpc_endpoint(**(asked | more))["VpcEndpoint"]

    def state(self, endpoint):
        """What the consumer sees."""
        found = self.ec2.describe_vpc_endpoints(VpcEndpointIds=[endpoint["VpcEndpointId"]])
        return found["VpcEndpoints"][0]["State"]

    def accept(self, service, *endpoints):
        """The provider's yes."""
        ids = [endpoint["VpcEndpointId"] for endpoint in endpoints]
        return self.ec2.accept_vpc_endpoint_connections(ServiceId=service["ServiceId"], VpcEndpointIds=ids)

    def reject(self, service, *endpoints):
        """The provider's no."""
        ids = [endpoint["VpcEndpointId"] for endpoint in endpoints]
        return self.ec2.reject_vpc_endpoint_connections(ServiceId=service["ServiceId"], VpcEndpointIds=ids)


def connected(lab, acceptance=True, **more):
    """A provider, a consumer, a service, and an endpoint that waits."""
    provider, consumer = lab.party(), lab.party()
    service = provider.service(consumer.root(), acceptance=acceptance, **more)
    return provider, consumer, service, consumer.endpoint(service)


def dumps(policy):
    """A policy as AWS takes it."""
    return json.dumps(policy)
