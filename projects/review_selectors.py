"""What an expert is shown: a task, everything that people said of it, and what experts decided before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import Prefetch

from aggregation.core import live
from projects import queries
from projects.models import Assignment, AssignmentStatus, LabelAudit, Project, Review, Task, Vote
from projects.queries import fetch, from_json

#: Why tasks retire that an expert should look at.
DOUBTFUL = {"disputed", "flagged"}
#: The doubt of a task that nobody is sure of at all; and of the first audit.
MOST_DOUBT, AUDITS = 10_000, 1_000_000_000


def review_queue(project: Project, *, after: tuple[int, ...] | None, limit: int) -> list[tuple[int, int]]:
    """Up to ``limit`` positions (doubt, task) of tasks that an expert should look at: those drawn to audit labels, in
    that order, as if nobody could doubt more; then the least confident first."""
    doubt, task = after or (AUDITS + 1, 0)
    audits = fetch(queries.AUDIT_QUEUE, project=project.id, number=AUDITS - doubt, limit=limit)
    position = {"doubt": min(doubt, MOST_DOUBT), "task": task if doubt <= MOST_DOUBT else 0}
    rows = fetch(queries.REVIEW_QUEUE, project=project.id, **position, limit=limit - len(audits))
    return [(AUDITS - number, task) for task, number in audits] + [(doubt, task) for task, doubt in rows]


def reviewable_tasks(project: Project, task_ids: Sequence[int]) -> list[dict[str, Any]]:
    """These tasks of the project in this order, as an expert sees them; what is not there is left out."""
    skipped = (
        Assignment.objects.filter(status=AssignmentStatus.SKIPPED).select_related("annotator").order_by("closed_at")
    )
    found = (
        Task.objects.filter(project=project, id__in=task_ids)
        .select_related("state", "posterior")
        .prefetch_related(
            Prefetch("votes", Vote.objects.select_related("annotator").order_by("id")),
            Prefetch("assignments", skipped, "skips"),
            Prefetch("reviews", Review.objects.select_related("reviewer").order_by("-number")),
            Prefetch("label_audits", LabelAudit.objects.filter(open=True), "audits"),
        )
    )
    by_id = {task.id: task for task in found}
    return [_as_seen(project.labels, by_id[id_]) for id_ in task_ids if id_ in by_id]


def _as_seen(labels: list[str], task: Any) -> dict[str, Any]:
    def name(index: int | None) -> str | None:
        return None if index is None else labels[index]

    state = task.state
    return {
        "task": task.id,
        "key": task.key,
        "data": task.data,
        "retired": state.retired,
        "reason": "audit" if task.audits else state.retired if state.retired in DOUBTFUL else None,
        "label": name(state.label),
        "confidence": state.confidence,
        "posterior": _posterior(labels, task),
        "votes": [
            {
                "annotator": vote.annotator_id,
                "name": vote.annotator.name,
                "label": name(vote.label),
                "status": vote.status,
                "seconds": vote.seconds,
            }
            for vote in task.votes.all()
        ],
        "skips": [
            {
                "annotator": skip.annotator_id,
                "name": skip.annotator.name,
                "reason": skip.skip_reason,
                "comment": skip.skip_comment,
            }
            for skip in task.skips
        ],
        "reviews": [
            {
                "number": review.number,
                "reviewer": review.reviewer.name,
                "action": review.action,
                "label": name(review.label),
                "label_before": name(review.label_before),
                "votes": review.votes,
                "comment": review.comment,
                "created_at": review.created_at,
            }
            for review in task.reviews.all()
        ],
    }


def _posterior(labels: list[str], task: Any) -> dict[str, float] | None:
    if not hasattr(task, "posterior"):
        return None
    decoded = live.decode_posterior(from_json(task.posterior.posterior), len(labels))
    return dict(zip(labels, decoded.tolist(), strict=True))
