"""The outlook of a project in words."""

from __future__ import annotations

from typing import Any


def in_words(figures: dict[str, Any]) -> str:
    """From the figures of ``outlooks.outlook_of``."""
    sentences = [_now(figures)]
    if "target" in figures:
        sentences += [_certified(figures), _missing(figures)]
    if figures["budget"] is not None:
        sentences.append(_budget(figures["budget"]))
    return " ".join(filter(None, sentences))


def _now(figures: dict[str, Any]) -> str:
    accuracy = figures["accuracy"]
    if accuracy["low"] is None:
        sure = "by the label model's own word, as too few answers are known to check it"
    else:
        sure = f"{_percent(accuracy['low'])} to {_percent(accuracy['high'])}"
    said = f"About {_percent(accuracy['expected'])} of all labels are right now ({sure})"
    without = figures["unlabelled"]
    return f"{said}; {without:,} tasks without a label count as wrong." if without else f"{said}."


def _certified(figures: dict[str, Any]) -> str:
    audits, machine = figures["audits"], figures["machine"]
    certified = f"Certified: at least {_percent(figures['certified'])}"
    if audits["asked"]:
        certified += f", as {audits['right']:,} of {audits['answered']:,} audited labels were right"
    return f"{certified}; {machine:,} labels are the machine's alone." if machine else f"{certified}."


def _missing(figures: dict[str, Any]) -> str:
    """What the target takes, or why it can't be reached."""
    target, audits = _percent(figures["target"]), figures["audits"]
    if figures["certified"] >= figures["target"]:
        return f"The target of {target} is reached."
    if audits["asked"]:
        return _audits(audits, target)
    if figures["aim"] is None:
        return (
            f"{audits['left']:,} audits can't certify {target}, even if all labels were right: raise audit_share, or "
            "lower target_accuracy."
        )
    asked = f"Experts are asked once about {_percent(figures['aim'])} seem right"
    if figures["accuracy"]["expected"] >= figures["aim"]:
        return "Labels seem right enough for experts to be asked, but have not changed since they last were."
    return f"{asked}, so that {audits['left']:,} audits may certify {target}: {_votes(figures)}"


def _audits(audits: dict[str, Any], target: str) -> str:
    if audits["needed"] is None:
        return f"The {audits['left']:,} audits left are not likely to certify {target}."
    most = "more than are left" if audits["most"] is None else f"{audits['most']:,}"
    least = audits["needed"] if audits["least"] is None else audits["least"]
    return (
        f"About {audits['needed']:,} more audits certify {target} ({least:,} to {most}; {audits['left']:,} are left), "
        f"{audits['waiting']:,} wait for an expert."
    )


def _votes(figures: dict[str, Any]) -> str:
    needed, full = figures["needed"], figures["full"]
    if figures["ends"]:
        return (
            "that can't be reached, as no more votes will come. Raise redundancy or budget, or lower target_accuracy."
        )
    if needed is None:
        return "too few tasks have several votes to tell how many that takes."
    if needed["votes"] is None:
        return (
            f"that can't be reached: with all {full['votes']:,} votes that redundancy still allows about "
            f"{_percent(full['accuracy'])} will be. Raise redundancy, or lower target_accuracy; voting goes on."
        )
    most = (
        f"more than the {full['votes']:,} that redundancy allows" if needed["high"] is None else f"{needed['high']:,}"
    )
    least = needed["votes"] if needed["low"] is None else needed["low"]
    return f"after about {needed['votes']:,} more votes ({least:,} to {most})."


def _budget(budget: dict[str, Any]) -> str:
    if not budget["votes"]:
        return "The budget is spent."
    buys = f"What is left of the budget ({_percent(1.0 - budget['spent'])}) buys {budget['votes']:,} votes"
    if budget["accuracy"] is None:
        return f"{buys}."
    low, high = _percent(budget["low"]), _percent(budget["high"])
    return f"{buys}, and then about {_percent(budget['accuracy'])} ({low} to {high}) are right."


def _percent(share: float) -> str:
    return f"{share:.1%}"
