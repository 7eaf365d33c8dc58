"""What is wrong with a request before anything is looked up: signature, version, form, size."""

import urllib.parse

from .lab import HOME

EC2 = {"Version": "2016-11-15"}


def code(text):
    """The code in an error answer."""
    return text.split("<Code>")[1].split("</Code>")[0] if "<Code>" in text else text


def check(lab):
    account = lab.account()

    def answers(wanted, status, form, **more):
        found, _, text = lab.post(form, account=account, **more)
        lab.that(f"{form!r:.60}", (found, code(text)), (status, wanted))
        lab.judge.codes.setdefault((more.get("service", "ec2"), wanted), set()).add(found)

    ask = {"Action": "DescribeVpcs", **EC2}
    answers("MissingAuthenticationToken", 401, ask, headers={"authorization": None})
    answers("AuthFailure", 401, ask, headers={"authorization": "Basic eDp5"})
    answers("AuthFailure", 401, ask, region="mars-1")
    answers("InvalidAction", 400, {"Action": "DescribeMartians", **EC2})
    answers("InvalidAction", 400, ask, service="lambda")
    answers("MissingAction", 400, EC2)
    answers("MissingParameter", 400, {"Action": "DescribeVpcs"})
    answers("NoSuchVersion", 400, {"Action": "DescribeVpcs", "Version": "2009-01-01"})
    answers("UnknownParameter", 400, {"SupportedRegions.1": HOME, "Action": "CreateVpcEndpointServiceConfiguration", **EC2})
    answers("UnknownParameter", 400, {"VpcId": "vpc-1", **ask})
    answers("UnknownParameter", 400, {"VpcId.member.1": "vpc-1", **ask})
    answers("InvalidParameterValue", 400, {"DryRun": "TRUE", **ask})
    answers("InvalidParameterValue", 400, {"MaxResults": "many", **ask})
    answers("MalformedQueryString", 400, b"Action=%")
    answers("MalformedQueryString", 400, b"Action=\xff\xfe")
    answers("RequestEntityTooLarge", 413, b"Action=DescribeVpcs&X=" + b"x" * 10_000_000)
    for service, version in (("elbv2", "2015-12-01"), ("sns", "2010-03-31"), ("sts", "2011-06-15")):
        answers("InvalidAction", 400, {"Action": "Martian", "Version": version}, service=service)

    me = lab.party()
    subnet = me.subnets()[0]["VpcId"]
    status, head, text = lab.post({"Action": "DescribeVpcs", "VpcId.1": subnet, **EC2}, account=me.account)
    lab.that("a request id in the head", status == 200 and bool(head.get("x-amzn-requestid")), True)
    lab.that("and in the body", f"<requestId>{head['x-amzn-requestid']}</requestId>" in text, True)
    query = urllib.parse.urlencode({"Action": "DescribeVpcs", **EC2})
    lab.that("the same form as text", lab.post(query.encode(), account=me.account)[0], 200)
