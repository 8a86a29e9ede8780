"""The report in a terminal: what happened, and what to do next."""

from __future__ import annotations

from typing import Any

from aggregation.core.calibration import ENOUGH_GOLD


def summary(found: dict[str, Any], written: dict[str, str]) -> str:
    """A report as some lines of text. written: by option, the files that were written."""
    lines = [counts(found), *_details(found)]
    lines += [f"Note: {warning}" for warning in found["warnings"]]
    lines += [f"Wrote {name}" for name in written.values()]
    lines.append(_next(found, written))
    return "\n".join(lines)


def counts(found: dict[str, Any]) -> str:
    """What was counted, in one line."""
    return (
        f"{_number(found['votes'], 'vote')} on {_number(found['tasks'], 'task')} by "
        f"{_number(found['annotators'], 'annotator')}, {_number(len(found['labels']), 'label')}"
    )


def calibration(found: dict[str, Any]) -> str:
    """How far confidence is to be believed, in one line."""
    n_gold = found["calibration"]["n_gold"]
    if found["calibrated"]:
        return f"calibrated on {n_gold:,} gold tasks"
    few = "without gold" if n_gold == 0 else f"with {_number(n_gold, 'gold task')} of at least {ENOUGH_GOLD}"
    return f"uncalibrated: {few} it is what the label model believes, and most believe too much"


def _details(found: dict[str, Any]) -> list[str]:
    sure = found["confidence"]
    without = f" of {sure['tasks']:,} without gold" if found["gold"] else ""
    rows = [
        ("method", found["method"] + ("" if found["converged"] else " (stopped before it converged)")),
        *(("", note) for note in found["explanation"]),
        ("agreement", f"Krippendorff's alpha {_figure(found['alpha'])} ({found['alpha_level']})"),
        (
            "confidence",
            f"mean {_figure(sure['mean'])}; {sure['at_least_95']:,} tasks{without} at 0.95 or more",
        ),
        ("", calibration(found)),
    ]
    checked = found["cross_validation"]
    if checked:
        low, high = checked["accuracy_interval"]
        rows += [
            (
                "accuracy",
                f"{found['accuracy']:.3f} ({low:.3f} to {high:.3f}) on {checked['tasks']:,} held-out gold tasks",
            ),
            ("", f"majority vote there: {checked['majority_vote']['accuracy']:.3f}"),
            ("ECE", f"{found['ece']:.3f}; mean confidence there: {checked['mean_confidence']:.3f}"),
        ]
    if found["repeated_votes"]:
        again = f"{found['repeated_votes']:,} of an annotator who had voted on the task before, not counted"
        rows.append(("repeats", f"{again}; {found['conflicting_repeats']:,} of them contradict the first"))
    if found["gold_unseen"]:
        rows.append(("gold", f"{found['gold_unseen']:,} gold tasks have no votes; ignored"))
    return [f"  {name:<11}{text}" for name, text in rows]


def _next(found: dict[str, Any], written: dict[str, str]) -> str:
    if "--out" not in written:
        return "Next: --out consensus.csv writes the label of every task; --report report.html shows more."
    if found["gold"] is None:
        return "Next: --gold FILE (task,label of some tasks) tells how accurate this is."
    if "--report" not in written:
        return "Next: --report report.html shows doubtful tasks and annotators."
    return "Next: look at the doubtful tasks and the annotators of lowest skill in the report."


def _figure(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"


def _number(count: int, of: str) -> str:
    return f"{count:,} {of}" if count == 1 else f"{count:,} {of}s"
