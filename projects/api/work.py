"""Tasks in, assignments out, votes in."""

from __future__ import annotations

from dataclasses import asdict
from typing import IO, Any
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from projects.access import ANNOTATORS, MANAGER, access_project
from projects.api import shapes
from projects.api.base import checked, member_of, user_of
from projects.api.idempotency import IDEMPOTENCY_KEY, idempotent
from projects.api.paging import PARAMETERS, page_schema, paginated
from projects.errors import DomainError, FieldError, Invalid, UnsupportedMediaType
from projects.models import Member
from projects.selectors import own_progress, tasks_of
from projects.serializers import (
    MAX_NEXT,
    GivenBackOut,
    ImportOut,
    LeaseIn,
    LeaseOut,
    ProgressOut,
    RenewedOut,
    SkipIn,
    TaskOut,
    UploadOut,
    VotesIn,
    VotesOut,
)
from projects.services import assignments, leases, qualification, quotas, tasks, voting
from projects.services.ballots import VoteInput
from projects.services.entry_answers import Answered

NEXT = OpenApiParameter(
    "next", int, description=f"Also lease: what I hold after these votes, filled up to so many (0 to {MAX_NEXT})."
)


class StreamParser(BaseParser):
    """Leaves the body alone: the service reads it as it comes. The CSRF check would read a form for its token."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        if (media_type or "").lower().startswith(("multipart/", "application/x-www-form-urlencoded")):
            raise UnsupportedMediaType("An upload is the file itself as the body, not a form with a file in it.")
        return stream


def _media_type(request: Request) -> str:
    return (request.content_type or "").partition(";")[0].strip().lower()


def _body(request: Request) -> IO[bytes]:
    """The body as it comes. Django takes a chunked one, which has no length, for empty: the server knows its end."""
    raw: Any = request._request
    body: IO[bytes] = raw.environ["wsgi.input"] if "HTTP_TRANSFER_ENCODING" in raw.environ else raw
    return body


class TasksView(APIView):
    def get_parsers(self) -> list[BaseParser]:
        return [StreamParser()]

    @extend_schema(operation_id="tasks", parameters=PARAMETERS, responses=page_schema("TaskPage", TaskOut))
    def get(self, request: Request, project_id: int) -> Response:
        """Tasks with their state, for managers."""
        project = access_project(user_of(request), project_id, MANAGER)
        context = {"labels": project.labels, "project": project}
        return paginated(request, tasks_of(project), lambda task: TaskOut(task, context=context).data)

    @extend_schema(
        operation_id="upload_tasks",
        request={
            "application/x-ndjson": OpenApiTypes.STR,
            "text/csv": OpenApiTypes.STR,
            "application/json": OpenApiTypes.OBJECT,
        },
        responses={201: UploadOut},
    )
    def post(self, request: Request, project_id: int) -> Response:
        """Upload tasks, streamed: all lines or (with an error for each wrong one) none.

        JSON lines `{"data": {…}, "key"?, "gold"?, "redundancy"?, "pool"?, "qualification"?}`, a JSON array of such
        objects, or CSV in which these names mean the same and every other column is data. A task in a pool goes only to
        members with this tag; one for qualification, which needs gold, only into training and tests. A key that is
        known with the same data is passed over, so an upload can be repeated.
        """
        project = access_project(user_of(request), project_id, MANAGER)
        uploaded = tasks.upload_tasks(project=project, body=_body(request), media_type=_media_type(request))
        return Response(UploadOut(uploaded).data, status=status.HTTP_201_CREATED)


class ImportVotesView(APIView):
    def get_parsers(self) -> list[BaseParser]:
        return [StreamParser()]

    @extend_schema(operation_id="import_votes", request={"text/csv": OpenApiTypes.STR}, responses={201: ImportOut})
    def post(self, request: Request, project_id: int) -> Response:
        """Import recorded votes: CSV `task,worker,label`, where task is a task's key. All lines or none."""
        project = access_project(user_of(request), project_id, MANAGER)
        if _media_type(request) != "text/csv":
            raise UnsupportedMediaType("Send votes as text/csv with the columns task,worker,label.")
        imported = tasks.import_votes(project=project, body=_body(request))
        return Response(ImportOut(imported).data, status=status.HTTP_201_CREATED)


class AssignmentsView(APIView):
    @extend_schema(operation_id="lease", parameters=[IDEMPOTENCY_KEY], request=LeaseIn, responses=LeaseOut)
    @idempotent
    def post(self, request: Request, project_id: int) -> Response:
        """The assignments I hold, filled up to `count` with the tasks most worth asking about.

        `status`: "ok"; "retry" (rows were locked just now: ask again at once); "waiting" (what is left is with others:
        ask again in some seconds); "finished" (nothing is left for you); "budget_spent" (there are tasks, but nothing
        is left to spend on them unless a manager raises the budget); "quota_reached" (you have voted as often as you
        may, until `resets_at`); "not_qualified" (you did not pass the test). While you have yet to qualify,
        `qualification` says how far you have come: its tasks are answered like any other.
        """
        member = member_of(request, project_id, ANNOTATORS)
        given, why = leases.lease_tasks(member=member, count=checked(LeaseIn, request)["count"])
        return Response(lease_answer(member, given, why))


class VotesView(APIView):
    @extend_schema(
        operation_id="vote",
        parameters=[NEXT, IDEMPOTENCY_KEY],
        request=VotesIn,
        responses={200: VotesOut, 207: VotesOut},
    )
    @idempotent
    def post(self, request: Request, project_id: int) -> Response:
        """Store votes, each on its own: 200 all stored (a repeat is), 207 some refused, 4xx none stored.

        With `next` the answer holds what a lease of that `count` would have answered right afterwards, too, unless no
        vote was stored.
        """
        member = member_of(request, project_id, ANNOTATORS)
        count = next_of(request.query_params.get("next"))
        votes = shapes.plain_votes(request.data) or [VoteInput(**vote) for vote in checked(VotesIn, request)["votes"]]
        submitted = voting.submit_votes_and_lease(member=member, votes=votes, count=count or 0)
        located = [_located(error, index) for index, error in enumerate(submitted.results)]
        refused = [error for error in located if error is not None]
        if len(refused) == len(votes):
            first = refused[0]
            first.errors = [field for error in refused for field in error.errors]
            raise first
        results = [
            {"assignment": vote.assignment, "status": "error", "error": error.as_dict()}
            if error
            else stored(vote.assignment, submitted.answered.get(vote.assignment))
            for vote, error in zip(votes, located, strict=True)
        ]
        answer: dict[str, Any] = {"results": results}
        if count is not None:
            answer |= lease_answer(member, *submitted.leases)
        return Response(answer, status=status.HTTP_207_MULTI_STATUS if refused else status.HTTP_200_OK)


def stored(assignment: UUID, answered: Answered | None = None) -> dict[str, Any]:
    """What a vote that was stored is answered with."""
    if answered is None:
        return {"assignment": assignment, "status": "counted"}
    result = {"assignment": assignment, "status": "qualification"}
    return result if answered.right is None else {**result, "feedback": asdict(answered)}


def lease_answer(member: Member, given: list[leases.Lease], why: str) -> dict[str, Any]:
    """As ``LeaseOut``."""
    answer = shapes.leased(given, why)
    if why == "quota_reached":
        answer["resets_at"] = quotas.resets_at(member)
    if qualification.is_due(member):
        answer["qualification"] = qualification.progress(member)
    return answer


def next_of(text: str | None) -> int | None:
    """``?next=``: how many assignments to hold afterwards; None where nobody asks."""
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 9 and int(text) <= MAX_NEXT):
        raise Invalid(f"next must be a whole number from 0 to {MAX_NEXT}.", field="next", code="invalid_next")
    return int(text)


def _located(error: DomainError | None, index: int) -> DomainError | None:
    """The error with its field's full path: ``votes.1.label``."""
    if error is not None:
        name = error.errors[0].field if error.errors else "assignment"
        error.errors = [FieldError(f"votes.{index}.{name}", error.code, error.detail)]
    return error


class SkipView(APIView):
    @extend_schema(operation_id="skip", parameters=[IDEMPOTENCY_KEY], request=SkipIn, responses=GivenBackOut)
    @idempotent
    def post(self, request: Request, project_id: int, assignment_id: UUID) -> Response:
        """Give a task back unanswered, and say why; you won't get it again.

        Once the project's `max_skips` annotators have skipped a task as "broken" or "unclear" it is flagged for an
        expert and goes to nobody.
        """
        member = member_of(request, project_id, ANNOTATORS)
        assignments.skip_assignment(member=member, assignment_id=assignment_id, **checked(SkipIn, request))
        return Response({"assignment": assignment_id, "status": "skipped"})


class ReleaseView(APIView):
    @extend_schema(operation_id="release", parameters=[IDEMPOTENCY_KEY], request=None, responses=GivenBackOut)
    @idempotent
    def post(self, request: Request, project_id: int, assignment_id: UUID) -> Response:
        """Give a task back without an opinion: it goes to somebody, who may be you."""
        member = member_of(request, project_id, ANNOTATORS)
        assignments.release_assignment(member=member, assignment_id=assignment_id)
        return Response({"assignment": assignment_id, "status": "released"})


class RenewView(APIView):
    @extend_schema(operation_id="renew", parameters=[IDEMPOTENCY_KEY], request=None, responses=RenewedOut)
    @idempotent
    def post(self, request: Request, project_id: int, assignment_id: UUID) -> Response:
        """Keep a task for the project's `lease_seconds` from now on, if its lease has not ended."""
        member = member_of(request, project_id, ANNOTATORS)
        expires_at = assignments.renew_assignment(member=member, assignment_id=assignment_id)
        return Response(RenewedOut({"assignment": assignment_id, "expires_at": expires_at}).data)


class ProgressView(APIView):
    @extend_schema(operation_id="my_progress", responses=ProgressOut)
    def get(self, request: Request, project_id: int) -> Response:
        """My own work in this project."""
        return Response(ProgressOut(own_progress(member_of(request, project_id, ANNOTATORS))).data)
