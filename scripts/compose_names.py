"""Checks what a schema cannot: every service, volume, network, secret and config that a Compose file uses is declared in it.

Usage: python compose_names.py docker-compose.yml
"""

import sys

from ruamel.yaml import YAML


def undeclared(compose):
    services = compose["services"]
    for name, service in services.items():
        for other in service.get("depends_on", ()):
            if other not in services:
                yield f"{name} depends on {other}, which is no service"
            elif other == name:
                yield f"{name} depends on itself"
            else:
                condition = service["depends_on"][other].get("condition") if isinstance(service["depends_on"], dict) else None
                if condition == "service_healthy" and "healthcheck" not in services[other]:
                    yield f"{name} waits for {other} to be healthy, but {other} has no healthcheck"
        for volume in service.get("volumes", ()):
            source = volume.get("source", "") if isinstance(volume, dict) else volume.split(":")[0]
            if source and source[0] not in "./~$" and source not in compose.get("volumes", {}):
                yield f"{name} mounts {source}, which is no volume"
        for kind in ("networks", "secrets", "configs"):
            for entry in service.get(kind, ()):
                used = entry.get("source") if isinstance(entry, dict) else entry
                if used != "default" and used not in compose.get(kind, {}):
                    yield f"{name} uses {used}, which is not among the {kind}"


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        problems = list(undeclared(YAML(typ="safe").load(file)))
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
