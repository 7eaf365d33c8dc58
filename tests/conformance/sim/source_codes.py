"""Every error code in the simulator's own sources: the text given to an `AwsError`, or what leads there."""

import pathlib
import re

from _program import Failed

SOURCES = pathlib.Path(__file__).parents[3] / "crates" / "privatelink-sim" / "src"
CALL = re.compile(r"AwsError::(?:new|with_status)\(\s*(?:\d+,\s*)?([^,]+),")
LITERAL = re.compile(r'"([^"]+)"(?:\.(?:into|to_owned)\(\))?')
# `let code = …;`, and a closure that is called with codes.
CHOSEN = re.compile(r"let code = (.*?);", re.S)
CLOSURE = re.compile(r"let (\w+) = \|code\b")
# A table whose rows end in codes, and the walk over it.
WALK = re.compile(r"for \([^)]*\bcode\) in (\w+)")

# Where a code is computed: the file, what is written there, and what it comes to. Codes of callers are found where they are written.
COMPUTED = {
    ("consumer.rs", "how.code()"): [],  # a failure that the caller of the library names
    ("faults.rs", "code.as_str()"): [],  # a fault's own code
    ("faults.rs", "status"): [],  # the same, without a code
    ("http/aws.rs", "status"): [],  # what the HTTP library says
    ("world/connections.rs", "behavior.unknown_endpoint_code.as_str()"): ["InvalidVpcEndpointId.NotFound"],
    ("world/connections.rs", "behavior.wrong_state_code.as_str()"): ["InvalidState"],
    ("world/endpoint_changes.rs", "self.behavior.wrong_state_code.as_str()"): ["InvalidState"],
    ("world/lattice_endpoints.rs", "self.behavior.wrong_state_code.as_str()"): ["InvalidState"],
}

# Where a code is made of what a function is given: the file, what is written there, the function, and the code.
MADE = {
    ("world/lattice.rs", 'format!("{code}.NotFound")'): ("unknown", "{}.NotFound"),
    ("world/lattice.rs", 'format!("{code}.Malformed")'): ("unknown", "{}.Malformed"),
    ("world/service_load_balancers.rs", 'self.code("Malformed")'): ("", "Invalid{}LoadBalancerArn.Malformed"),
    ("world/service_load_balancers.rs", 'kind.code("NotFound")'): ("", "Invalid{}LoadBalancerArn.NotFound"),
    ("world/tags.rs", 'format!("{kind}.NotFound")'): ("unknown", "{}.NotFound"),
}


def plain(text):
    """Sources without comments and without the tests at their end."""
    text = text.split("#[cfg(test)]\nmod tests")[0]
    return re.sub(r"^\s*//.*$", "", text, flags=re.M)


def sqs_names(text):
    """The older names of SQS's codes, which clients see, by those of its model."""
    table = text.split("const MODELLED", 1)[1].split("];", 1)[0]
    return dict(re.findall(r'\(\s*"([^"]+)",\s*"([^"]+)",?\s*\)', table))


def found():
    """`{code: where}`."""
    codes, lost = {}, []
    for file in sorted(SOURCES.rglob("*.rs")):
        name = file.relative_to(SOURCES).as_posix()
        if name.endswith("_tests.rs") or name == "world/testing.rs":
            continue
        text = plain(file.read_text())
        for call in CALL.finditer(text):
            argument = call[1].strip()
            literal = LITERAL.fullmatch(argument)
            if literal:
                codes.setdefault(literal[1], name)
                continue
            written = COMPUTED.get((name, argument))
            if (name, argument) in MADE:
                function, code = MADE[name, argument]
                parts = re.findall(rf'\b{function}\(\s*"(\w+)"', text) if function else ["Network", "Gateway"]
                written = [code.format(part) for part in parts]
            if argument == "code":
                written = [code for chosen in CHOSEN.findall(text) for code in re.findall(r'"([\w.]+)"', chosen)]
                for closure in CLOSURE.findall(text):
                    written += re.findall(rf'\b{closure}\(\s*"([\w.]+)"', text)
                for table in WALK.findall(text):
                    rows = re.search(rf"const {table}\b.*?\n\];", text, re.S)[0]
                    written += re.findall(r'"([A-Z][\w.]+)",?\s*\)', rows)
                written = written or None
            if written is None:
                lost.append(f"{name}: source_codes.py cannot follow the code {argument}")
            for code in written or []:
                codes.setdefault(code, name)
    if len(codes) < 50:
        raise Failed(f"{SOURCES}: only {len(codes)} codes, the scan no longer reads the sources")
    old = sqs_names((SOURCES / "wire/sqs/mod.rs").read_text())
    return codes, old, lost


def unknown(known):
    """What the sources can say and nobody knows."""
    codes, old, wrong = found()
    for code, name in sorted(codes.items()):
        if code not in known and old.get(code) not in known:
            wrong.append(f"the code {code} of {name} is neither in CODES nor in NOT_PRODUCED of sim/codes.py")
    return wrong
