"""The report in a terminal: what happened, and what to do next."""

from __future__ import annotations

from typing import Any

from aggregation.core.calibration import ENOUGH_GOLD
from aggregation.offline.words import count


def summary(found: dict[str, Any], written: dict[str, str]) -> str:
    """A report as some lines of text. written: by option, the files that were written."""
    lines = [counts(found), *_details(found)]
    lines += [f"Wrote {name}" for name in written.values()]
    lines.append(_next(found, written))
    return "\n".join(lines)


def counts(found: dict[str, Any]) -> str:
    """What was counted, in one line."""
    return (
        f"{count(found['votes'], 'vote')} on {count(found['tasks'], 'task')} by "
        f"{count(found['annotators'], 'annotator')}, {count(len(found['labels']), 'label')}"
    )


def calibration(found: dict[str, Any]) -> str:
    """How far confidence is to be believed, in one line."""
    n_gold = found["calibration"]["n_gold"]
    if found["calibrated"]:
        return f"calibrated on {count(n_gold, 'gold task')}"
    few = "without gold" if n_gold == 0 else f"with {count(n_gold, 'gold task')}, fewer than {ENOUGH_GOLD},"
    return f"uncalibrated: {few} it is what the label model believes, and most believe too much"


def sureness(found: dict[str, Any]) -> str:
    """How many tasks the consensus is sure of."""
    sure = found["confidence"]
    of = f" of {sure['tasks']:,} without gold" if found["gold"] else ""
    return (
        f"{sure['at_least_95']:,}{of} at 0.95 or more"
        if of
        else f"{count(sure['at_least_95'], 'task')} at 0.95 or more"
    )


def _details(found: dict[str, Any]) -> list[str]:
    rows = [
        ("method", found["method"] + ("" if found["converged"] else " (stopped before it converged)")),
        *(("", note) for note in found["explanation"]),
        ("agreement", f"Krippendorff's alpha {_figure(found['alpha'])} ({found['alpha_level']})"),
        *_confidence(found),
    ]
    checked = found["cross_validation"]
    if checked:
        low, high = checked["accuracy_interval"]
        rows += [
            (
                "accuracy",
                f"{found['accuracy']:.3f} ({low:.3f} to {high:.3f}) on {count(checked['tasks'], 'held-out gold task')}",
            ),
            ("", f"majority vote there: {checked['majority_vote']['accuracy']:.3f}"),
            ("ECE", f"{found['ece']:.3f}; mean confidence there: {checked['mean_confidence']:.3f}"),
        ]
    if found["repeated_votes"]:
        again = (
            f"{count(found['repeated_votes'], 'vote')} of an annotator who had voted on the task before, not counted"
        )
        rows.append(("repeats", f"{again}; contradicting the first: {found['conflicting_repeats']:,}"))
    return [f"  {name:<11}{text}" for name, text in rows]


def _next(found: dict[str, Any], written: dict[str, str]) -> str:
    if "--out" not in written:
        return "Next: --out consensus.csv writes the label of every task; --report report.html shows more."
    if found["gold"] is None:
        return "Next: --gold FILE (task,label of some tasks) tells how accurate this is."
    if "--report" not in written:
        return "Next: --report report.html shows doubtful tasks and annotators."
    return "Next: look at the doubtful tasks and the annotators of lowest skill in the report."


def _confidence(found: dict[str, Any]) -> list[tuple[str, str]]:
    if not found["confidence"]["tasks"]:
        return [("confidence", "1 everywhere: every task has gold, nothing is in question")]
    return [
        ("confidence", f"mean {_figure(found['confidence']['mean'])}; {sureness(found)}"),
        ("", calibration(found)),
    ]


def _figure(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
