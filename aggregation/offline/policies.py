"""Policies from YAML: each key is a project's setting, and what is wrong is said with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aggregation.core.policy import DEFAULT, SETTINGS, Policy
from aggregation.offline.files import BadFile

#: Policies that need no file.
NAMED = {"default": DEFAULT}
MOST_BYTES = 1 << 20
#: Settings of projects that no recorded vote can tell of, and why.
_SHOWN = "nobody knows how people would have voted if they had seen what the machine says"
NOT_REPLAYED = {
    "confirm_above": _SHOWN,
    "blind_share": _SHOWN,
    "gold_share": "nobody knows who would have been given which known answers",
    "gold_exposures": "nobody knows who would have been given which known answers",
    "max_skips": "what people skipped is not among votes",
    "search_label": "what is searched for depends on who finds it first",
    "target_accuracy": "experts' audits end a project; read from the curve after how many votes it is reached",
    "budget": "read from the curve what so large a share of the votes buys",
}


def read_policy(name: str) -> Policy:
    """The policy of a YAML file, or one that is NAMED. Raises BadFile naming the file, the key and its line."""
    if name in NAMED:
        return NAMED[name]
    import yaml

    try:
        text = Path(name).read_bytes()
    except OSError as error:
        known = ", ".join(NAMED)
        raise BadFile(f"{name}: {error.strerror or error}; expected a YAML file, or one of: {known}") from error
    if len(text) > MOST_BYTES:
        raise BadFile(f"{name}: a policy is a few lines; this file has {len(text):,} bytes")
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is None:
            return Policy()
        lines = _lines(name, node)
        settings = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadFile(f"{name}: is not YAML: {' '.join(str(error).split())}") from error
    return _policy(name, settings, lines)


def policy_name(name: str) -> str:
    """What a policy is called in a report: its file's name without folder and ending."""
    return name if name in NAMED else Path(name).stem


def _lines(name: str, node: Any) -> dict[str, int]:
    """The line of each key. Raises BadFile at one that is no setting, or twice."""
    import yaml

    if not isinstance(node, yaml.MappingNode):
        raise BadFile(f"{name} line {node.start_mark.line + 1}: expected settings, a line for each: {_settings()}")
    lines: dict[str, int] = {}
    for key, _ in node.value:
        line = key.start_mark.line + 1
        if key.value in NOT_REPLAYED:
            raise BadFile(f"{name} line {line}: {key.value} can't be replayed: {NOT_REPLAYED[key.value]}")
        if key.value not in SETTINGS:
            raise BadFile(f"{name} line {line}: there is no setting {str(key.value)!r}; there are {_settings()}")
        if key.value in lines:
            raise BadFile(f"{name} line {line}: {key.value} is set again, first in line {lines[key.value]}; keep one")
        lines[key.value] = line
    return lines


def _policy(name: str, settings: dict[str, Any], lines: dict[str, int]) -> Policy:
    """Raises BadFile at the first setting that can't be, by its line."""
    if "learner_fields" in settings:
        fields = settings["learner_fields"]
        if not isinstance(fields, list):
            where = f"{name} line {lines['learner_fields']}"
            raise BadFile(f"{where}: learner_fields is {fields!r}; expected a list, as in [text]")
        settings["learner_fields"] = tuple(fields)
    for key, value in settings.items():  # one at a time, to know which
        try:
            Policy(**{key: value})
        except ValueError as error:
            raise BadFile(f"{name} line {lines[key]}: {error}") from error
    return Policy(**settings)


def _settings() -> str:
    return ", ".join(SETTINGS)
