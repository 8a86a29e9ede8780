"""A backtest as one HTML file for people."""

from __future__ import annotations

from typing import BinaryIO

from aggregation.core.policy import Policy
from aggregation.offline.backtest import Backtest, Backtested
from aggregation.offline.backtest_report import reached, retired
from aggregation.offline.curve_plot import STYLE as CURVE_STYLE
from aggregation.offline.curve_plot import curves
from aggregation.offline.markup import Figure, Html, table, tag, text
from aggregation.offline.page import STYLE
from aggregation.offline.words import count

REACH = (0.8, 0.85, 0.9, 0.95)


def write_html(found: Backtested, file: BinaryIO) -> None:
    file.write(page(found).encode())


def page(found: Backtested) -> Html:
    head = tag(
        "head",
        Html('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        tag("title", "Backtest"),
        Html(f"<style>{STYLE}{CURVE_STYLE}</style>"),
    )
    sections = [_head(found), _curves(found), _reach(found), *(_policy(found, each) for each in found.results)]
    return text(
        Html("<!doctype html>\n"), tag("html", head, tag("body", tag("main", *sections)), lang="en"), Html("\n")
    )


def _head(found: Backtested) -> Html:
    votes = found.crowd.votes
    said = (
        f"{count(len(votes), 'recorded vote')} on {count(votes.n_tasks, 'task')} by "
        f"{count(votes.n_annotators, 'annotator')}, replayed {count(found.seeds, 'time')} under each policy."
    )
    known = (
        f"Scored by {count(int((found.truth >= 0).sum()), 'known answer')}."
        if found.gold
        else "No known answers were given: scored by the consensus of all recorded votes, which may itself be wrong."
    )
    odd = [tag("p", tag("strong", "Mind: "), warning) for warning in found.warnings]
    return text(tag("h1", "Backtest: ", found.dataset), tag("p", said, " ", known, class_="soft"), *odd)


def _curves(found: Backtested) -> Html:
    lines = [(each.name, each.curve) for each in found.results]
    words = (
        "Accuracy by votes spent, over all tasks whose answer the policy was not told. Bands hold nine tenths of the "
        "replays; the dashed line is majority vote on all recorded votes. Where a policy stops early, its curve "
        "goes on flat."
    )
    points = range(0, len(lines[0][1].share), 5)
    rows = [
        [Figure(f"{lines[0][1].share[at]:.0%}"), *(Figure(f"{curve.accuracy[at]:.3f}") for _, curve in lines)]
        for at in points
    ]
    shown = tag(
        "details", tag("summary", "As a table"), table(["votes", *(name for name, _ in lines)], rows, "Accuracy")
    )
    return text(tag("h2", "What votes buy"), tag("p", words), curves(lines, found.bars.majority), shown)


def _reach(found: Backtested) -> Html:
    header = ["policy", "majority vote's", "auto's less half a point", *(f"{target:.0%}" for target in REACH)]
    rows = [[each.name, *map(Figure, reached(each.curve, REACH))] for each in found.results]
    words = "The share of the recorded votes after which accuracy never again falls below what is wanted."
    return text(tag("h2", "Votes to reach an accuracy"), tag("p", words), table(header, rows, "Votes to reach"))


def _settings(policy: Policy) -> list[list[str]]:
    """Those that say something: none that is not set, and those of the machine only where it may label alone."""
    machine = ("auto_label_error", "auto_label_confidence", "audit_share", "audits_by")
    said = {name: value for name, value in vars(policy).items() if value not in (None, (), 0)}
    alone = policy.auto_label_error is not None
    return [
        [name, ", ".join(value) if isinstance(value, tuple) else str(value)]
        for name, value in said.items()
        if alone or name not in machine
    ]


def _policy(found: Backtested, each: Backtest) -> Html:
    parts = [tag("h2", "Policy: ", each.name), tag("p", f"{retired(each)}.".capitalize())]
    if each.policy.gold:
        parts.append(tag("p", f"Its {count(each.policy.gold, 'known answer')} count as right from the start."))
    parts.append(table(["setting", "value"], _settings(each.policy), "Settings"))
    if each.wrong:
        crowd = found.crowd
        rows = [
            [crowd.tasks[task].as_py(), crowd.labels[found.truth[task]], Figure(f"{times} of {found.seeds}")]
            for task, times in each.wrong
        ]
        parts.append(table(["task", "true label", "replays"], rows, "Retired wrongly"))
    return text(*parts)
