"""A project's target: when it stops because its labels are certified to be right enough, and what is still missing.

A look freezes labels once audits of them are likely to certify the target, has experts asked about a random draw, and
stops the project when they do; or has it go on, if labels have changed so much since that the bound does not hold. It
can be killed anywhere and done again.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from django.utils import timezone

from aggregation import target_queries
from aggregation.core.target_accuracy import CertifiedAccuracy
from aggregation.core.tiers import alpha_of
from aggregation.models import Freeze, Outlook
from aggregation.services import freezing
from aggregation.services.census import Census, read_census
from aggregation.services.freezing import Progress
from aggregation.services.halting import go_on, stop
from aggregation.services.locks import Lock, advisory_lock
from aggregation.services.outlooks import Standing, outlook_of
from projects.models import Project
from projects.queries import fetch
from projects.services.budget import shortage
from projects.services.hints import send_hint

#: After a look a project rests for this many times as long as it took.
REST_FACTOR = 5.0
#: Audits that wait for experts at a time.
AT_WORK = 50
#: Votes have to grow by this share before labels are frozen again, unless the manager wishes otherwise than then.
NEWS = 0.05


def targets_due(*, project_id: int | None = None) -> list[int]:
    """The projects (or this one) whose target is to be looked at."""
    return [id_ for (id_,) in fetch(target_queries.TARGETS_DUE, project=project_id)]


def hint_if_due(*, project_id: int) -> None:
    """After a refit: a look may have become due."""
    if targets_due(project_id=project_id):
        send_hint("aggregation.look_at_target", project_id)


def look_at_target(*, project_id: int) -> bool:
    """Bring audits, certificate and forecast up to date. False if nothing was due, or another process is at it."""
    with advisory_lock(Lock.TARGET, project_id) as mine:
        if not mine or not targets_due(project_id=project_id):
            return False
        begun, now = time.monotonic(), timezone.now()
        project = Project.objects.get(id=project_id)
        outlook, _ = Outlook.objects.get_or_create(project=project)
        ((outlook.seen_run, outlook.seen_task),) = fetch(target_queries.NEWEST, project=project_id)
        census = read_census(project)
        outlook.figures = _look(project, outlook.seen_run, census)
        outlook.seen_version, outlook.seen_at = project.version, now
        outlook.rests_until = timezone.now() + timedelta(seconds=REST_FACTOR * (time.monotonic() - begun))
        outlook.save()
        return True


def _look(project: Project, run: int, census: Census) -> dict[str, Any]:
    if project.target_accuracy is None or not len(census.ids):
        _drop(project, "No accuracy is to be reached.")
        return outlook_of(project, census) if project.budget is not None and len(census.ids) else {}
    standing = _stand(project, census, project.target_accuracy)
    freeze = _in_force(project)
    if standing.ahead.missing <= 0:
        if freeze is not None:
            freezing.ask_no_more(freeze)
        stop(project=project, freeze=None, figures={"bound": census.whole.known / census.whole.tasks})
        return outlook_of(project, census, standing)
    if freeze is None and run and _is_ripe(project, census, standing):
        freeze = freezing.freeze(project=project, run=run, census=census)
    if freeze is None:
        go_on(project=project, reason=NOT_FROZEN)
        return outlook_of(project, census, standing)
    progress = freezing.progress_of(freeze)
    standing = standing.audited(progress, census)
    _conclude(project, progress, standing)
    return outlook_of(project, census, standing)


NOT_FROZEN = "What was certified is not in force any more."


def _drop(project: Project, why: str) -> None:
    freeze = freezing.open_freeze(project)
    if freeze is not None:
        freezing.end(project, freeze, why)
    go_on(project=project, reason=why)


def _in_force(project: Project) -> Freeze | None:
    """The labels that are frozen, if it is for what the manager wishes now."""
    freeze = freezing.open_freeze(project)
    if freeze is not None and freeze.confidence != project.target_accuracy_confidence:
        freezing.end(project, freeze, "Another confidence is asked for.")
        return None
    return freeze


def _stand(project: Project, census: Census, target: float) -> Standing:
    alpha = alpha_of(freezing.next_number(project), 1.0 - project.target_accuracy_confidence)
    return Standing(
        target=target,
        allowed=max(int(project.audit_share * census.whole.tasks) - freezing.audited(project), 0),
        ends=census.now.room == 0 or shortage(project.id) == "budget_spent",
        ahead=census.whole.ahead(target, alpha),
    )


def _is_ripe(project: Project, census: Census, standing: Standing) -> bool:
    """Audits of the labels there are may well certify the target; and there is news since they did not."""
    last = Freeze.objects.filter(project=project).order_by("-number").first()
    votes = int(census.votes.sum())
    if last is not None and freezing.ended_for_these_wishes(last, project) and votes < last.votes * (1.0 + NEWS):
        return False
    aim = standing.aim
    return aim is not None and bool(census.unproven.any()) and census.expected_of_unknown >= aim


def _conclude(project: Project, progress: Progress, standing: Standing) -> None:
    found, freeze = standing.found, progress.freeze
    assert found is not None, "nothing is concluded without audits"
    if found.bound >= standing.target:
        freezing.ask_no_more(freeze)
        stop(project=project, freeze=freeze, figures=vars(found))
        return
    go_on(project=project, reason=f"At least {found.bound:.1%} of the labels are right by now: less than the target.")
    why = _hopeless(progress, found, standing)
    if why is not None:
        freezing.end(project, freeze, why)
    else:
        freezing.ask(progress=progress, waiting=min(AT_WORK, standing.allowed))


def _hopeless(progress: Progress, found: CertifiedAccuracy, standing: Standing) -> str | None:
    """Why these audits are not going to certify the target, if they are not."""
    if not standing.ahead.leads_nowhere(standing.allowed):
        return None
    if standing.ahead.out_of_reach:
        return f"{found.left} labels have changed or are known since: the others are too few to be certified."
    if not standing.allowed:
        return "All audits that `audit_share` allows are answered."
    return f"{found.right} of {found.audits} audited labels were right: too few to certify the target."
