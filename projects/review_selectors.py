"""What an expert is shown: a task, everything that people said of it, and what experts decided before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import Prefetch

from aggregation.core import live
from projects import queries
from projects.models import Assignment, AssignmentStatus, Project, Review, Task, Vote
from projects.queries import fetch, from_json

#: Before the first position of the queue.
START = (10_000, 0)


def review_queue(project: Project, *, after: tuple[int, ...] | None, limit: int) -> list[tuple[int, int]]:
    """Up to ``limit`` positions (doubt, task) of tasks that an expert should look at, the least confident first."""
    doubt, task = after or START
    rows = fetch(queries.REVIEW_QUEUE, project=project.id, doubt=doubt, task=task, limit=limit)
    return [(doubt, task) for task, doubt in rows]


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
