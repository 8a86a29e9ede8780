"""What a look at audits has found, in words for managers."""

from __future__ import annotations

from typing import Any

from projects.models import Project


def certified(project: Project, figures: dict[str, Any]) -> str:
    sure = f"{project.auto_label_confidence:.4g}"
    bound, tasks = f"{figures['bound']:.1%}", figures["tasks"]
    newer = f" {figures['newer']} newer ones count once their audits are answered." if figures["newer"] else ""
    return f"{_seen(figures)}: at most {bound} of its {tasks} labels are, with confidence {sure}.{newer}"


def not_certified(project: Project, figures: dict[str, Any]) -> str:
    allowed = f"{project.auto_label_error:.1%}"
    short = (
        f"{_seen(figures)}: up to {figures['best_bound']:.1%} of its labels may be, more than the {allowed} allowed."
    )
    return f"{short} {forecast(project, figures)}" + (UNCALIBRATED if figures["unproven"] else "")


def forecast(project: Project, figures: dict[str, Any]) -> str:
    """What a first certificate still needs, at the present error rate."""
    outlook, left = figures["outlook"], figures["affordable"]
    allowed = f"{project.auto_label_error:.1%}"
    if outlook["audits"] is None:
        often = f"even where it is surest it seems to be wrong in {outlook['error']:.1%}"
        return f"It can't be certified as it is: {often}, with {allowed} allowed."
    needed = f"About {outlook['audits']} more audits certify it if it goes on like this"
    if outlook["audits"] > left:
        return f"{needed}, but the share for audits leaves {left}: raise it, or allow more errors."
    return f"{needed}."


def become_worse(figures: dict[str, Any]) -> str:
    return (
        f"Of the last {figures['audits']} audits {figures['wrong']} found the machine wrong: it has become worse than"
        " allowed."
    )


def _seen(figures: dict[str, Any]) -> str:
    return f"Of {figures['audits']} audits {figures['wrong']} found the machine wrong"


UNCALIBRATED = (
    " Votes alone prove nothing while confidence is uncalibrated: upload gold, or have experts decide the audits."
)
