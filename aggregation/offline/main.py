"""The whole way from a votes file to consensus files: what `manage.py aggregate` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from aggregation.offline.files import BadFile, Write, check_outputs, format_of, source, write_all

REPORTS = {".json": "json", ".html": "html"}


class Told(NamedTuple):
    """What is said when all is done: a summary, and before it what is odd, a sentence each."""

    summary: str
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Wishes:
    """What is asked for: names of files, None where nothing is; method None is the default label model."""

    votes: str
    gold: str | None = None
    method: str | None = None
    ordinal: bool = False
    labels: Sequence[str] | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    gold_columns: Mapping[str, str] = field(default_factory=dict)
    out: str | None = None
    annotators: str | None = None
    report: str | None = None


def aggregate(wishes: Wishes) -> Told:
    """Read, fit, write what is asked for, and say what happened. Raises BadFile, before anything is written."""
    method = _method(wishes)
    from aggregation.core.crowd_kit import Unavailable
    from aggregation.offline.analysis import analyse
    from aggregation.offline.crowd import read_crowd
    from aggregation.offline.progress import clock
    from aggregation.offline.report import details, figures
    from aggregation.offline.summary import summary
    from aggregation.offline.tables import TABLES

    check_outputs(
        [name for name in (wishes.votes, wishes.gold) if name],
        {
            "--out": (wishes.out, TABLES),
            "--annotators": (wishes.annotators, TABLES),
            "--report": (wishes.report, REPORTS),
        },
    )
    crowd = read_crowd(
        source(wishes.votes),
        source(wishes.gold) if wishes.gold else None,
        columns=wishes.columns,
        gold_columns=wishes.gold_columns,
        labels=wishes.labels,
        ordinal=wishes.ordinal,
    )
    try:
        analysis = analyse(crowd, method)
    except (Unavailable, ValueError) as error:
        raise BadFile(f"--method {method}: {error}") from error
    with clock("comparing annotators"):
        found = figures(analysis) | (details(analysis) if wishes.report else {})
    with clock("writing"):
        written = _outputs(wishes, analysis, found)
        write_all(list(written.values()))
    return Told(summary(found, {option: name for option, (name, _) in written.items()}), tuple(found["warnings"]))


def _outputs(wishes: Wishes, analysis: Any, found: dict[str, Any]) -> dict[str, tuple[str, Write]]:
    from aggregation.offline import tables
    from aggregation.offline.page import write_html
    from aggregation.offline.report import write_json

    outputs: dict[str, tuple[str, Write]] = {}
    if wishes.out:
        outputs["--out"] = wishes.out, tables.writer(wishes.out, tables.consensus(analysis))
    if wishes.annotators:
        outputs["--annotators"] = wishes.annotators, tables.writer(wishes.annotators, tables.annotators(analysis))
    if wishes.report:
        write = write_html if format_of(wishes.report, REPORTS) == "html" else write_json
        outputs["--report"] = wishes.report, partial(write, found)
    return outputs


def _method(wishes: Wishes) -> str:
    from aggregation.core.label_models import DEFAULT_LABEL_MODEL, LABEL_MODELS

    method = wishes.method or DEFAULT_LABEL_MODEL
    if method not in LABEL_MODELS:
        raise BadFile(f"--method {method}: there is no such label model; there are {', '.join(LABEL_MODELS)}")
    return method
