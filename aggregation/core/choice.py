"""The label type choice: one of 2 to 200 named labels. An answer is {"label": name}."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

MIN_LABELS, MAX_LABELS, MAX_LENGTH = 2, 200, 200
SHOWN = 10

Answer = dict[str, str]


def check_labels(labels: object) -> list[str]:
    """Everything that is wrong with a list of labels, one sentence each; empty if it is fine.

    Positions count from 0. Labels are compared after stripping white space at both ends.
    """
    if not isinstance(labels, list):
        return [f"must be a list of {MIN_LABELS} to {MAX_LABELS} strings"]
    problems = []
    if not MIN_LABELS <= len(labels) <= MAX_LABELS:
        problems.append(f"must hold {MIN_LABELS} to {MAX_LABELS} labels, not {len(labels)}")
    first: dict[str, int] = {}
    for index, label in enumerate(labels[: MAX_LABELS + 1]):
        problem = _problem(label)
        if problem is None:
            name = label.strip()
            problem = f"repeats label {first[name]}, {_short(name)}" if name in first else None
            first.setdefault(name, index)
        if problem is not None:
            problems.append(f"label {index} {problem}")
    return problems


def canonical(answer: object, labels: Sequence[str]) -> tuple[Answer, int]:
    """The answer in its one stored form, and the index of its label.

    Raises ValueError if it is not {"label": name} or the name, stripped, is none of the labels.
    """
    if not isinstance(answer, dict) or set(answer) != {"label"} or not isinstance(answer["label"], str):
        raise ValueError('an answer must be an object {"label": name}')
    name = answer["label"].strip()
    try:
        index = list(labels).index(name)
    except ValueError:
        raise ValueError(f"unknown label {_short(name)}; expected one of {_listed(labels)}") from None
    return {"label": name}, index


def _problem(label: object) -> str | None:
    if not isinstance(label, str):
        return "is not a string"
    if not label.strip():
        return "is empty"
    if len(label.strip()) > MAX_LENGTH:
        return f"is longer than {MAX_LENGTH} characters"
    # Cc: control characters; Cs: lone surrogates, which no database or UTF-8 file can hold.
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in label.strip()):
        return "holds a control character"
    return None


def _listed(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - SHOWN} more" if len(labels) > SHOWN else ""
    return ", ".join(_short(label) for label in labels[:SHOWN]) + more


def _short(text: str, length: int = 40) -> str:
    return repr(text if len(text) <= length else text[: length - 1] + "…")
