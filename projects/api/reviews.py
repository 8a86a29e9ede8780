"""Expert review: the queue and the decisions."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from projects.access import REVIEWERS, access_member, access_project
from projects.api.base import checked, user_of
from projects.api.idempotency import IDEMPOTENCY_KEY, idempotent
from projects.api.paging import PARAMETERS, decode_cursor, encode_cursor, limit_of, page_schema
from projects.errors import NotFound
from projects.models import Project, ReviewAction
from projects.review_selectors import review_queue, reviewable_tasks
from projects.serializers import ReviewableTask, ReviewIn
from projects.services.reviews import review_task


class ReviewsView(APIView):
    @extend_schema(
        operation_id="review_queue", parameters=PARAMETERS, responses=page_schema("ReviewPage", ReviewableTask)
    )
    def get(self, request: Request, project_id: int) -> Response:
        """Tasks that an expert should look at: drawn at random to audit labels, in that order; then those flagged by
        skips or disputed by votes, the least sure first."""
        project = access_project(user_of(request), project_id, REVIEWERS)
        limit = limit_of(request)
        found = review_queue(project, after=decode_cursor(request, 2), limit=limit + 1)
        page = found[:limit]
        following = encode_cursor(*page[-1]) if len(found) > limit else None
        return Response({"results": _shown(project, [task for _, task in page]), "next": following})


class ReviewView(APIView):
    @extend_schema(operation_id="reviewable_task", responses=ReviewableTask)
    def get(self, request: Request, project_id: int, task_id: int) -> Response:
        """One task with its votes, its skips and all its reviews."""
        return Response(_one(access_project(user_of(request), project_id, REVIEWERS), task_id))

    @extend_schema(
        operation_id="review", parameters=[IDEMPOTENCY_KEY], request=ReviewIn, responses={201: ReviewableTask}
    )
    @idempotent
    def post(self, request: Request, project_id: int, task_id: int) -> Response:
        """Decide: `{"label": …}` is the answer, certain at once; `{"action": "reopen", "votes": n}` asks for n more
        votes; `{"action": "undo"}` takes the last review back.

        Whoever follows another expert says so with `after`, the number of the last review; if there is a later one the
        answer is a 409. Every review stays on record.
        """
        reviewer = access_member(user_of(request), project_id, REVIEWERS)
        given = checked(ReviewIn, request)
        review_task(reviewer=reviewer, task_id=task_id, **given | {"action": ReviewAction(given["action"])})
        return Response(_one(reviewer.project, task_id), status=status.HTTP_201_CREATED)


def _shown(project: Project, task_ids: list[int]) -> Any:
    return ReviewableTask(reviewable_tasks(project, task_ids), many=True).data


def _one(project: Project, task_id: int) -> Any:
    found = _shown(project, [task_id])
    if not found:
        raise NotFound("This project has no such task.")
    return found[0]
