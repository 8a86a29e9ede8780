"""Labels: their order, which ones there may be, and which look like one another."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence

from aggregation.offline.files import BadFile, Source
from aggregation.offline.reading import find


def in_order(found: set[str], given: Sequence[str] | None, ordinal: bool, name: str) -> list[str]:
    """Labels as given; else those found, numbers by value and other texts by code point. Raises BadFile if they are
    ordinal and nobody knows their order; name: of the file."""
    if given is not None:
        return list(given)
    labels = sorted(found)
    values = {label: number(label) for label in labels}
    if None not in values.values():
        return sorted(labels, key=lambda label: (values[label], label))
    if ordinal:
        text = next(label for label in labels if values[label] is None)
        raise BadFile(f"{name}: label {text!r} is not a number; give the order of all labels with --labels low,…,high")
    return labels


def check(source: Source, column: str, found: Sequence[str], allowed: Sequence[str]) -> None:
    """Raises BadFile at the first label that is none of those allowed."""
    unknown = next((name for name in found if name not in allowed), None)
    if unknown is not None:
        where = find(source, [column], unknown)[0]
        raise BadFile(f"{where}: label {unknown!r} is none of those in --labels; correct it or add it there")


def number(text: str) -> float | None:
    """The value of a plain finite number, None of anything else."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in text else None


def likeness(label: str) -> float | str:
    """The same for labels that are one number, or differ only in white space, letter case or Unicode spelling."""
    value = number(label)
    return unicodedata.normalize("NFC", label.strip()).casefold() if value is None else value


def alike(labels: Sequence[str]) -> list[str]:
    """Labels that look like another one."""
    groups: dict[float | str, list[str]] = {}
    for label in labels:
        groups.setdefault(likeness(label), []).append(label)
    return [label for group in groups.values() if len(group) > 1 for label in group]
