"""The Dockerfile and the compose file as data, and as the commands that they run."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from tests.support.stack import ROOT

DOCKERFILE = ROOT / "docker" / "Dockerfile"
COMPOSE = ROOT / "docker" / "compose.yaml"
OF_CROWD = ("migrate", "web", "worker", "beat")

VARIABLE = re.compile(r"\$(?:\$|\{(\w+)(?::([?-])([^}]*))?\})")


class Unset(Exception):
    """Compose would refuse to start: a variable that must be given is not."""


def interpolate(text: str, variables: Mapping[str, str]) -> str:
    """What compose makes of ``${NAME}``, ``${NAME:-default}``, ``${NAME:?message}`` and ``$$``."""

    def value(found: re.Match[str]) -> str:
        name, kind, rest = found.groups()
        if name is None:
            return "$"
        if given := variables.get(name):
            return given
        if kind == "?":
            raise Unset(f"{name}: {rest}")
        return rest or ""

    return VARIABLE.sub(value, text)


def read_compose(variables: Mapping[str, str]) -> dict[str, Any]:
    return dict(_interpolated(yaml.safe_load(COMPOSE.read_text()), variables))


def _interpolated(value: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return interpolate(value, variables)
    if isinstance(value, list):
        return [_interpolated(part, variables) for part in value]
    if isinstance(value, dict):
        return {name: _interpolated(part, variables) for name, part in value.items()}
    return value


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, continued lines joined."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in joined.splitlines() if line.strip()]


def image_environment() -> dict[str, str]:
    settings = " ".join(rest for name, rest in instructions() if name == "ENV").split()
    return dict(setting.split("=", 1) for setting in settings)


def image_command(name: str) -> list[str]:
    """The arguments of its CMD or HEALTHCHECK."""
    (found,) = [rest for instruction, rest in instructions() if instruction == name]
    command: list[str] = json.loads(found[found.index("[") :])
    return command


@dataclass(frozen=True)
class Service:
    name: str
    command: list[str]
    health: list[str]
    environment: dict[str, str]


def service(name: str, variables: Mapping[str, str]) -> Service:
    """One service as compose runs it, with what it takes from the image when that is ours."""
    described = read_compose(variables)["services"][name]
    command, environment = described.get("command"), described["environment"]
    kind, *health = described.get("healthcheck", {}).get("test", ["CMD"])
    if name in OF_CROWD:
        command = command or image_command("CMD")
        health = health or image_command("HEALTHCHECK")
        environment = image_environment() | environment
    return Service(name, command or [], ["sh", "-c", *health] if kind == "CMD-SHELL" else health, environment)
