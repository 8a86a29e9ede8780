"""Expert review: what the votes can't settle, a person decides. The decision is gold that measures nobody, but where
the task was drawn at random: that tells of all tasks."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import F

from projects import queries
from projects.errors import AnswerKnown, NotFound, NothingToUndo, ReviewedMeanwhile, UnknownLabel
from projects.models import Event, Gold, GoldOrigin, LabelAudit, Member, Review, ReviewAction, TaskState
from projects.models.work import EventKind
from projects.queries import fetch
from projects.services.hints import hint_after_commit
from projects.services.recompute import recompute_tasks

#: Where gold comes from that experts may decide otherwise.
EXPERTS = {GoldOrigin.REVIEW, GoldOrigin.AUDIT}


@transaction.atomic
def review_task(
    *,
    reviewer: Member,
    task_id: int,
    action: ReviewAction,
    after: int = 0,
    label: str | None = None,
    votes: int = 1,
    comment: str = "",
) -> Review:
    """Decide about a task, as one who has seen its reviews up to number ``after`` (0: there were none).

    LABEL: ``label`` is the answer. The task is certain and retired as "reviewed" at once, and no vote undoes it.
    REOPEN: the task wants ``votes`` more votes than it has and holds, and an answer given before is withdrawn.
    UNDO: all is as it was before the last review, whose row stays.
    Raises NotFound, ReviewedMeanwhile if there is a later review, AnswerKnown where gold was uploaded, UnknownLabel,
    NothingToUndo if there is no review or the last one is an undo.
    """
    state = TaskState.objects.select_for_update().filter(task=task_id, project=reviewer.project_id).first()
    if state is None:
        raise NotFound("This project has no such task.")
    last = Review.objects.select_related("reviewer").filter(task=task_id).order_by("-number").first()
    gold = Gold.objects.filter(task=task_id).first()
    _refuse(last, after, gold)
    review = Review(
        project_id=reviewer.project_id,
        task_id=task_id,
        number=after + 1,
        reviewer=reviewer,
        action=action,
        label=_answer(reviewer, action, label, last),
        label_before=None if gold is None else gold.label,
        votes=votes if action == ReviewAction.REOPEN else None,
        own_redundancy_before=state.own_redundancy,
        comment=comment,
    )
    review.save(force_insert=True)
    _carry_out(review, state, last)
    recompute_tasks(project=reviewer.project, task_ids=[task_id])
    Event.objects.create(project_id=reviewer.project_id, kind=EventKind.REVIEW, task=task_id)
    hint_after_commit("aggregation.publish_reviews", reviewer.project_id)
    hint_after_commit("aggregation.refit", reviewer.project_id)
    return review


def _refuse(last: Review | None, after: int, gold: Gold | None) -> None:
    if gold is not None and gold.origin not in EXPERTS:
        raise AnswerKnown()
    if (last.number if last else 0) != after:
        who = f"{last.reviewer.name} has reviewed this task" if last else "This task has no review"
        raise ReviewedMeanwhile(f"{who}: look again and decide whether yours should follow.")


def _answer(reviewer: Member, action: ReviewAction, label: str | None, last: Review | None) -> int | None:
    """The index of the expert's answer after this review, if there is one then."""
    if action == ReviewAction.UNDO:
        if last is None or last.action == ReviewAction.UNDO:
            raise NothingToUndo()
        return last.label_before
    if action == ReviewAction.REOPEN:
        return None
    if label not in reviewer.project.labels:
        raise UnknownLabel(field="label")
    return reviewer.project.labels.index(label)


def _carry_out(review: Review, state: TaskState, last: Review | None) -> None:
    """Gold and state of the task, which is locked, as the review says; what follows from them is recomputed next."""
    if review.action != ReviewAction.LABEL:
        fetch(queries.UNSETTLE, task=review.task_id, own=_own_redundancy(review, state, last))
    if review.label is not None:
        known = {"project_id": review.project_id, "label": review.label, **_drawn(review.task_id)}
        Gold.objects.update_or_create(task_id=review.task_id, defaults=known)
        TaskState.objects.filter(task=review.task_id).update(retired="reviewed", version=F("version") + 1)
        return
    Gold.objects.filter(task=review.task_id).delete()
    if review.action == ReviewAction.UNDO:
        fetch(queries.FLAG, task=review.task_id)


def _drawn(task_id: int) -> dict[str, Any]:
    """The answer to a task that was drawn at random tells of all tasks; to any other, of what was disputed.

    So does one to a task that was drawn once, but that nobody is asked about for that any more.
    """
    audit = LabelAudit.objects.filter(task=task_id).order_by("-id").first()
    answered = Gold.objects.filter(task=task_id, origin=GoldOrigin.AUDIT).exists()
    if audit is None or not (audit.open or answered):
        return {"origin": GoldOrigin.REVIEW, "inclusion_probability": None}
    return {"origin": GoldOrigin.AUDIT, "inclusion_probability": audit.probability}


def _own_redundancy(review: Review, state: TaskState, last: Review | None) -> int | None:
    """Votes that this very task wants, whatever the project does; None: as many as the project."""
    if review.votes is not None:
        return max(state.redundancy, state.votes + state.leases + review.votes)
    if last is not None and last.action == ReviewAction.REOPEN:
        return last.own_redundancy_before
    return state.own_redundancy
