"""What a look at audits has found, in words for managers."""

from __future__ import annotations

from typing import Any

from projects.models import Project


def certified(project: Project, figures: dict[str, Any]) -> str:
    sure = f"{project.auto_label_confidence:.4g}"
    bound, tasks = f"{figures['bound']:.1%}", figures["tasks"]
    newer = f" {figures['newer']} newer ones count once their audits are answered." if figures["newer"] else ""
    found = f"{_seen(figures)}: at most {bound} of its {tasks} labels are, with confidence {sure}.{newer}"
    return found + _earlier(figures)


def not_certified(project: Project, figures: dict[str, Any]) -> str:
    allowed = f"{project.auto_label_error:.1%}"
    short = (
        f"{_seen(figures)}: up to {figures['best_bound']:.1%} of its labels may be, more than the {allowed} allowed."
    )
    uncalibrated = UNCALIBRATED if figures["unproven"] else ""
    return f"{short} {forecast(project, figures)}{uncalibrated}{_earlier(figures)}"


def forecast(project: Project, figures: dict[str, Any]) -> str:
    """What a first certificate still needs, at the present error rate."""
    outlook, left, by_votes = figures["outlook"], figures["affordable"], figures["truth_error"]
    allowed = f"{project.auto_label_error:.1%}"
    if by_votes >= (project.auto_label_error or 0.0):
        return f"Votes may be wrong about up to {by_votes:.1%} of audits, by what gold tells: {MORE_TRUTH}."
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


def _earlier(figures: dict[str, Any]) -> str:
    """What becomes of tasks from before the machine became worse."""
    if everything := figures.get("all"):
        bound, audits = f"{everything['bound']:.1%}", everything["audits"]
        return f" By {audits} audits of all tasks at most {bound} of its {everything['tasks']} labels are, of any time."
    return SINCE if figures["first"] else ""


SINCE = (
    " Only tasks count that have come since the machine before it became worse; earlier ones are people's until enough"
    " audits of them are answered, too."
)


def _seen(figures: dict[str, Any]) -> str:
    return f"Of {figures['audits']} audits {figures['wrong']} found the machine wrong"


MORE_TRUTH = "upload more gold, or have experts decide the audits"
UNCALIBRATED = (
    " Votes alone prove nothing while confidence is uncalibrated: upload gold, or have experts decide the audits."
)
