"""For every action, made again as it succeeded before: DryRun, a parameter that nobody knows, and each member that is not modelled."""

import copy

from botocore.exceptions import ClientError

from _program import Failed

from .verdict import not_modelled

SCALARS = {"string": "conformance", "integer": 7, "long": 7, "boolean": True, "timestamp": "2030-01-01T00:00:00Z", "blob": b"x", "double": 1.0}


def check(lab):
    listed, ignored = not_modelled()["requests"], not_modelled()["ignored"]
    wrong = []
    for name in lab.actions():
        service, action = name.split(".")
        model = lab.models[service].operation_model(action)
        base = lab.judge.last.get(name)
        if base is None:
            continue
        # A token is good for the request that it came from, and what follows is another.
        base = {member: value for member, value in base.items() if member not in ("NextToken", "Marker")}
        if model.input_shape is not None and "DryRun" in model.input_shape.members:
            dry(lab, name, base)
        if service != "sqs":
            nonsense(lab, name, base)
        if model.input_shape is not None:
            for path in listed.get(name, {}):
                if not is_refused(lab, name, model.input_shape, base, path):
                    wrong.append(f"{name}: {path} is not modelled, and is ignored")
            for path in ignored.get(name, {}):
                if is_refused(lab, name, model.input_shape, base, path):
                    wrong.append(f"{name}: {path} is listed as ignored, and is refused")
    if wrong:
        raise Failed("\n  ".join(["requests", *wrong]))


def dry(lab, name, base):
    """Checked, and not done. The same again would mostly be refused, so what was done before is not held against the request."""
    try:
        with lab.behavior(dry_run_tries=False):
            lab.call(name, base | {"DryRun": True})
    except ClientError as error:
        said = error.response
        lab.that(f"{name}, DryRun", (said["Error"]["Code"], said["ResponseMetadata"]["HTTPStatusCode"]), ("DryRunOperation", 412))
        return
    raise Failed(f"{name}: done in spite of DryRun")


def nonsense(lab, name, base):
    """A misspelled parameter is refused by its name, before anything is done."""
    service, action = name.split(".")
    account, region = lab.owners[name]
    version = lab.models[service].api_version
    client = lab.client(service, account, region)
    form = client._serializer.serialize_to_request(base, lab.models[service].operation_model(action))["body"]
    form = {**form, "Action": action, "Version": version, "Nonsense": "1"}
    status, _, text = lab.post(form, service, account, region)
    lab.that(f"{name}, a misspelled parameter", (status, "Nonsense" in text), (400, True))


def value_of(shape):
    """Some value of a shape: the first member of a structure, one item of a list."""
    if shape.type_name == "structure":
        name = next(iter(shape.members), None)
        return {name: value_of(shape.members[name])} if name else {}
    if shape.type_name == "list":
        return [value_of(shape.member)]
    if shape.type_name == "map":
        return {"conformance": value_of(shape.value)}
    if getattr(shape, "enum", None):
        return shape.enum[0]
    return SCALARS[shape.type_name]


def put(shape, params, parts):
    """Puts a value of its shape where a path leads; what is missing on the way is made."""
    part, rest = parts[0], parts[1:]
    plain = part.removesuffix("[]")
    inner = shape.members[plain]
    if not rest:
        params[plain] = value_of(inner)
    elif part.endswith("[]"):
        rows = params.setdefault(plain, [])
        if not rows:
            rows.append({})
        put(inner.member, rows[0], rest)
    else:
        put(inner, params.setdefault(plain, {}), rest)


def is_refused(lab, name, shape, base, path):
    """A member alone with what succeeded before: whether it is refused by its name."""
    params = copy.deepcopy(base)
    put(shape, params, path.split("."))
    if "DryRun" in shape.members:
        params["DryRun"] = True
    words = {part.removesuffix("[]") for part in path.split(".")}
    # On the wire EC2's lists are singular.
    words |= {word.removesuffix("s") for word in words} | {wire(shape, path.split("."))}
    lab.checks += 1
    try:
        with lab.behavior(dry_run_tries=False):
            lab.call(name, params)
    except ClientError as error:
        said = error.response["Error"]
        return said["Code"] != "DryRunOperation" and any(word in said.get("Message", "") for word in words)
    return False


def wire(shape, parts):
    """The last name of a path as the request spells it."""
    for part in parts:
        inner = shape.members[part.removesuffix("[]")]
        name = inner.serialization.get("queryName") or inner.serialization.get("name") or part.removesuffix("[]")
        shape = inner.member if part.endswith("[]") else inner
    return name[:1].upper() + name[1:]
