"""Reads every answer against botocore's model, and remembers what was sent and what was seen.

botocore's parser skips elements that it does not know and takes what is missing for granted, so the raw answer is walked beside the
model here: a name that the model does not have, a value of another type or outside an enumeration is a finding.
"""

import datetime
import json
import re
import threading
import xml.etree.ElementTree as xml

# Elements that AWS's API reference prints and the model has not.
KNOWN = {("ec2.CreateSecurityGroup", "return")}

# Shapes that hold themselves are followed this deep.
DEEPEST = 12


def local(tag):
    """A tag without its name space."""
    return tag.rsplit("}", 1)[-1]


class Judge:
    """What was seen of the model so far. Called by botocore's threads, hence the lock."""

    def __init__(self, models):
        self.models = models
        self.lock = threading.Lock()
        self.seen = {}
        self.sent = {}
        self.findings = {}
        self.codes = {}
        self.first = {}
        self.last = {}

    def attach(self, client):
        """Watches a boto3 client."""
        events = client.meta.events
        events.register("before-parameter-build", self._building)
        events.register("after-call", self._called)

    def _building(self, params, model, context, **_):
        context["conformance_params"] = json.loads(json.dumps(params, default=str))

    def _called(self, http_response, parsed, model, context, **_):
        service = model.service_model.service_name
        name = f"{service}.{model.name}"
        status = http_response.status_code
        params = context.get("conformance_params", {})
        with self.lock:
            if status >= 300:
                code = parsed.get("Error", {}).get("Code")
                self.codes.setdefault((service, code), set()).add(status)
                if code in ("DryRunOperation", "InvalidNextToken"):
                    self._note_sent(name, model.input_shape, params)
                return
            self._note_sent(name, model.input_shape, params)
            self.first.setdefault(name, params)
            self.last[name] = params
            self._items(service, parsed)
            if model.output_shape is not None:
                self._answer(name, model, http_response.content)

    def _items(self, service, parsed):
        """Codes of single items inside a success."""
        for item in parsed.get("Unsuccessful") or []:
            self.codes.setdefault((service, item["Error"]["Code"]), set()).add("item")
        for item in parsed.get("Failed") or []:
            self.codes.setdefault((service, item["Code"]), set()).add("item")

    def _note_sent(self, name, shape, params):
        if shape is not None:
            sent = self.sent.setdefault(name, set())
            note_input(shape, params, "", sent)

    def _answer(self, name, model, content):
        seen = self.seen.setdefault(name, set())
        protocol = model.service_model.protocol
        if protocol == "json":
            walk_json(model.output_shape, json.loads(content or b"{}"), "", seen, self._finding(name))
            return
        root = xml.fromstring(content)
        if local(root.tag) != f"{model.name}Response":
            self._finding(name)("", f"the root is {local(root.tag)}")
        passed_over = {"requestId", "RequestId"}
        wrapper = model.output_shape.serialization.get("resultWrapper")
        if wrapper:
            node = next((child for child in root if local(child.tag) == wrapper), None)
            if node is None:
                self._finding(name)("", f"without {wrapper}")
                return
            root = node
        walk_xml(model.output_shape, root, "", seen, self._finding(name), passed_over)

    def _finding(self, name):
        def note(path, what):
            if (name, path) in KNOWN:
                return
            self.findings.setdefault(f"{name}: {path}: {what}", None)

        return note


def note_input(shape, value, path, sent):
    """The paths of a request's members."""
    if shape.type_name == "structure":
        for member, inner in (value or {}).items():
            if member in shape.members:
                below = f"{path}.{member}" if path else member
                sent.add(below)
                note_input(shape.members[member], inner, below, sent)
    elif shape.type_name == "list":
        for inner in value or []:
            note_input(shape.member, inner, f"{path}[]", sent)


def walk_xml(shape, node, path, seen, finding, passed_over=()):
    """Marks what a node has of a shape."""
    kind = shape.type_name
    if kind == "structure":
        names = {member.serialization.get("name", key): key for key, member in shape.members.items()}
        for child in node:
            tag = local(child.tag)
            if tag in passed_over:
                continue
            if tag not in names:
                finding(f"{path}.{tag}".strip("."), "not in the model")
                continue
            below = f"{path}.{names[tag]}" if path else names[tag]
            seen.add(below)
            walk_xml(shape.members[names[tag]], child, below, seen, finding)
    elif kind == "list":
        wanted = shape.member.serialization.get("name", "member")
        for child in node:
            if local(child.tag) != wanted:
                finding(path, f"a list of {local(child.tag)}, not of {wanted}")
            walk_xml(shape.member, child, f"{path}[]", seen, finding)
    elif kind == "map":
        for entry in node:
            parts = {local(child.tag): child.text or "" for child in entry}
            if set(parts) != {"key", "value"}:
                finding(path, f"a map entry of {sorted(parts)}")
    else:
        if len(node):
            finding(path, f"elements inside a {kind}")
        scalar(shape, node.text or "", path, finding)


def walk_json(shape, value, path, seen, finding):
    """The same for AWS JSON."""
    kind = shape.type_name
    if kind == "structure":
        if not isinstance(value, dict):
            finding(path, f"not an object: {value!r}")
            return
        for name, inner in value.items():
            if name not in shape.members:
                finding(f"{path}.{name}".strip("."), "not in the model")
                continue
            below = f"{path}.{name}" if path else name
            seen.add(below)
            walk_json(shape.members[name], inner, below, seen, finding)
    elif kind == "list":
        for inner in value:
            walk_json(shape.member, inner, f"{path}[]", seen, finding)
    elif kind == "map":
        for inner in value.values():
            walk_json(shape.value, inner, f"{path}[]", seen, finding)
    elif kind in ("boolean", "integer", "long"):
        wanted = bool if kind == "boolean" else int
        if type(value) is not wanted:
            finding(path, f"{value!r} is not a {kind}")
    elif kind == "string" and not isinstance(value, str):
        finding(path, f"{value!r} is not a string")


def scalar(shape, text, path, finding):
    """The type of one value, and its place in an enumeration."""
    kind = shape.type_name
    if kind == "boolean" and text not in ("true", "false"):
        finding(path, f"{text!r} is not a boolean")
    elif kind in ("integer", "long") and not re.fullmatch(r"-?\d+", text):
        finding(path, f"{text!r} is not a number")
    elif kind == "timestamp":
        try:
            datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
        except ValueError:
            finding(path, f"{text!r} is not a time")
    elif kind == "string" and getattr(shape, "enum", None) and text not in shape.enum:
        # The model's `State` is Pascal case, AWS's wire is camel case; AWS's samples of endpoints to VPC Lattice shout their type.
        if shape.name in ("State", "IpAddressType") and text.lower() in {value.lower() for value in shape.enum}:
            return
        finding(path, f"{text!r} is none of {shape.enum}")


def members(shape, path="", deep=0, above=()):
    """Every path of a shape."""
    if deep > DEEPEST or shape.name in above and shape.type_name == "structure":
        return
    above = (*above, shape.name)
    if shape.type_name == "structure":
        for name, inner in shape.members.items():
            below = f"{path}.{name}" if path else name
            yield below
            yield from members(inner, below, deep + 1, above)
    elif shape.type_name == "list":
        yield from members(shape.member, f"{path}[]", deep + 1, above)


def below(entry, path):
    """Whether a path is an entry or a part of it."""
    return path == entry or path.startswith((f"{entry}.", f"{entry}["))
