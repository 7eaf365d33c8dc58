"""Every filter: values OR-ed, names AND-ed, wildcards, unknown names, too many values.

The model's own documentation names the filters of each action; one that it names is tried here or listed as not modelled.
"""

import re

from _program import Failed

from .lab import connected
from .lists import listings
from .verdict import not_modelled

# What a filter says of every row that has no other value, where a row alone does not tell.
TAG = {"Key": "filtered", "Value": "yes-1"}


def documented(model, action):
    """The names of the filters in the model's documentation."""
    members = model.operation_model(action).input_shape.members
    if "Filters" not in members:
        return None
    text = members["Filters"].documentation
    found = re.findall(r"<li>\s*<p>\s*<code>([^<]+)</code>", text)
    return {"tag:filtered" if name.startswith("tag") and name != "tag-key" else name.strip() for name in found}


def check(lab):
    model, left_out = lab.models["ec2"], not_modelled()["filters"]
    names = [name.split(".")[1] for name in lab.actions() if name.startswith("ec2.")]
    rows = scenes(lab)
    filtered = {action: documented(model, action) for action in names}
    filtered = {action: wanted for action, wanted in filtered.items() if wanted is not None}
    wrong = [
        f"{action}: {name}"
        for action, wanted in filtered.items()
        for name in sorted(wanted ^ (set(rows.get(action, [{}] * 3)[2]) | set(left_out.get(action, []))))
    ]
    if wrong:
        raise Failed("filters of the model, and those tried or listed as not modelled, differ\n  " + "\n  ".join(wrong))
    for action in filtered:
        call, key, values, base = rows[action]
        absent = left_out.get(action, [])
        for name, value in values.items():
            if value is None:
                lab.that(f"{action} {name}, nothing to find", count(call, key, [(name, ["*"])], base), 0)
                continue
            one(lab, f"{action} {name}", call, key, name, value, base)
        together(lab, action, call, key, values, base)
        for name in [*absent, "colour"]:
            asked = [{"Name": "tag:x" if name == "tag" else name, "Values": ["red"]}]
            code = "UnsupportedOperation" if name in absent else "InvalidFilter"
            lab.refused(code, call, 400, Filters=asked, **base)
        name = next(iter(values))
        lab.refused("FilterLimitExceeded", call, 400, Filters=[{"Name": name, "Values": [f"v{n}" for n in range(201)]}], **base)
        call(Filters=[{"Name": name, "Values": [f"v{n}" for n in range(200)]}], **base)


def count(call, key, filters, base):
    """How many rows pass."""
    return len(call(Filters=[{"Name": name, "Values": values} for name, values in filters], **base)[key])


def one(lab, what, call, key, name, value, base):
    """One filter with a value that some rows have."""
    matching = count(call, key, [(name, [value])], base)
    if matching == 0:
        raise Failed(f"{what}={value}: no row passes")
    lab.that(f"{what}, OR", count(call, key, [(name, ["no such value", value])], base), matching)
    lab.that(f"{what}, nothing", count(call, key, [(name, ["no such value"])], base), 0)
    lab.that(f"{what}, with a star", count(call, key, [(name, [value[:2] + "*"])], base) >= matching, True)
    lab.that(f"{what}, with a question mark", count(call, key, [(name, ["?" + value[1:]])], base) >= matching, True)
    if value.upper() != value:
        lab.that(f"{what}, the other case", count(call, key, [(name, [value.upper()])], base), 0)


def together(lab, action, call, key, values, base):
    """All at once still let something pass, or nothing when one does not."""
    every = [(name, [value]) for name, value in values.items() if value is not None]
    if not every:
        return
    lab.that(f"{action}, a filter that fails", count(call, key, [*every, (every[0][0], ["no such value"])], base), 0)
    for name, value in every:
        both = count(call, key, [every[0], (name, value)], base)
        alone = count(call, key, [(name, value)], base)
        lab.that(f"{action} {name}, AND only takes away", both <= alone, True)


def scenes(lab):
    """For every action with filters: the call, the member with its rows, a value for each filter, and other parameters."""
    provider, consumer, service, endpoint = connected(lab, TagSpecifications=[
        {"ResourceType": "vpc-endpoint-service", "Tags": [TAG]}
    ])  # fmt: skip
    return listings(lab, provider, consumer, service, endpoint, TAG)
