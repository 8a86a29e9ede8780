"""Named domain errors. The HTTP layer turns each into a 4xx of one shape (``crowd/errors.py``)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FieldError:
    """One thing wrong with one field (``votes.0.label``) or line (``line 40312.gold``) of a request."""

    field: str
    code: str
    detail: str

    def as_dict(self) -> dict[str, str]:
        return {"field": self.field, "code": self.code, "detail": self.detail}


class DomainError(Exception):
    """Something a caller asked for that can't be done; the docstring of each kind is its message."""

    status = 400
    code = "invalid"

    def __init__(
        self,
        detail: str | None = None,
        *,
        field: str | None = None,
        errors: list[FieldError] | None = None,
        code: str | None = None,
    ) -> None:
        self.detail = detail or " ".join((self.__doc__ or "").split())
        self.code = code or self.code
        self.errors = errors or ([FieldError(field, self.code, self.detail)] if field else [])
        super().__init__(self.detail)

    def as_dict(self) -> dict[str, object]:
        return {"code": self.code, "detail": self.detail, "errors": [error.as_dict() for error in self.errors]}


class Invalid(DomainError):
    """The request is not valid: see the fields."""


class NotFound(DomainError):
    """There is nothing here that you may see."""

    status, code = 404, "not_found"


class Conflict(DomainError):
    """The request does not fit the present state."""

    status, code = 409, "conflict"


class EditedMeanwhile(Conflict):
    """Somebody else edited this project since you read it: read it again and repeat your change."""

    code = "edited_meanwhile"


class ProjectPaused(Conflict):
    """The project is paused: no tasks are handed out and no votes are taken until a manager resumes it."""

    code = "project_paused"


class AnnotatorPaused(DomainError):
    """You can get no new tasks in this project for now. What you hold you can still answer; its manager knows more."""

    status, code = 403, "annotator_paused"


class AnnotatorBlocked(DomainError):
    """You can't work in this project any more. Its manager knows more."""

    status, code = 403, "annotator_blocked"


class AlreadyLifted(Conflict):
    """This sanction is lifted already, or is no sanction but the lifting of one."""

    code = "already_lifted"


class ManagerNotSanctioned(Conflict):
    """Managers are not sanctioned: give them another role first."""

    code = "is_manager"


class UnknownAssignment(NotFound):
    """This assignment does not exist or is not yours: ask for assignments of your own."""

    code = "unknown_assignment"


class AssignmentExpired(Conflict):
    """The lease of this assignment has ended and its task may be with somebody else: ask for new assignments."""

    code = "assignment_expired"


class LateVoteNoRoom(Conflict):
    """The lease had ended and the task has no room for this vote any more: it was recorded, but it does not count."""

    code = "late_vote_no_room"


class LateVoteNoBudget(Conflict):
    """The lease had ended and the budget has gone to others since: the vote was recorded, but it does not count."""

    code = "late_vote_no_budget"


class LateVoteNoQuota(Conflict):
    """The lease had ended and your quota is used up or promised to what you hold: the vote was recorded, no more."""

    code = "late_vote_no_quota"


class MustBeAnswered(Conflict):
    """Tasks of a training or a test can't be skipped: answer as well as you can."""

    code = "must_be_answered"


class AssignmentClosed(Conflict):
    """This assignment was already answered, skipped or given back."""

    code = "assignment_closed"


class VoteConflict(Conflict):
    """You have already voted otherwise on this task, and that vote was stored: it stays."""

    code = "vote_conflict"


class ReviewedMeanwhile(Conflict):
    """Somebody else has reviewed this task since you looked: look again and decide whether yours should replace it."""

    code = "reviewed_meanwhile"


class AnswerKnown(Conflict):
    """The answer to this task is known as gold that was uploaded: it needs no review."""

    code = "answer_known"


class NothingToUndo(Conflict):
    """There is no review of this task that could be undone."""

    code = "nothing_to_undo"


class UnknownLabel(Invalid):
    """This is not one of the project's labels."""

    code = "unknown_label"


class InvalidTasks(Invalid):
    """Nothing was stored: some lines are not right. Mend them and upload the whole file again."""

    code = "invalid_tasks"


class InvalidVotes(Invalid):
    """Nothing was stored: some lines are not right. Mend them and import the whole file again."""

    code = "invalid_votes"


class KeyInProgress(Conflict):
    """A request with this Idempotency-Key is being worked on: ask again in a moment."""

    code = "idempotency_key_in_progress"


class KeyReused(DomainError):
    """This Idempotency-Key was sent before with another request: use a new key for each."""

    status, code = 422, "idempotency_key_reused"


class TooLarge(DomainError):
    """The request is too large."""

    status, code = 413, "too_large"


class UnsupportedMediaType(DomainError):
    """The request's Content-Type is none that is taken here."""

    status, code = 415, "unsupported_media_type"


class LengthRequired(DomainError):
    """Send a Content-Length with this body: only uploads may come in chunks of unknown length."""

    status, code = 411, "length_required"


class InvalidLink(Invalid):
    """This link is unknown, used up or has expired: ask for a new one."""

    code = "invalid_link"
