"""The shapes that people send and get all day long, without the serializers that describe them (tests compare both)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from projects.models import MOST_LEASES
from projects.serializers import MAX_VOTES
from projects.services.ballots import VoteInput
from projects.services.leases import Lease


def plain_votes(body: Any) -> list[VoteInput] | None:
    """The votes of a body that is plainly right; None where ``VotesIn`` had better look at it."""
    if not isinstance(body, dict) or list(body) != ["votes"] or not isinstance(body["votes"], list):
        return None
    votes = [_plain_vote(vote) for vote in body["votes"][: MAX_VOTES + 1]]
    plain = [vote for vote in votes if vote is not None]
    return plain if 1 <= len(plain) == len(votes) <= MAX_VOTES else None


def _plain_vote(vote: Any) -> VoteInput | None:
    if not isinstance(vote, dict) or not {"assignment", "label"} <= vote.keys() <= {"assignment", "label", "seconds"}:
        return None
    assignment, label, seconds = vote["assignment"], vote["label"], vote.get("seconds")
    if not isinstance(assignment, str) or len(assignment) != 36 or not isinstance(label, str):
        return None
    if not (0 < len(label) <= 200 and label.isprintable() and label == label.strip()):
        return None
    if seconds is not None and not (type(seconds) in (int, float) and 0 <= seconds <= 1_000_000):
        return None
    try:
        return VoteInput(UUID(assignment), label, None if seconds is None else float(seconds))
    except ValueError:
        return None


def plain_count(body: Any) -> int | None:
    """How many leases a body plainly asks for; None where ``LeaseIn`` had better look at it."""
    if not isinstance(body, dict) or list(body) != ["count"] or type(body["count"]) is not int:
        return None
    return body["count"] if 1 <= body["count"] <= MOST_LEASES else None


def leased(leases: Sequence[Lease], status: str) -> dict[str, Any]:
    """As ``LeaseOut``."""
    return {
        "assignments": [_leased(lease) for lease in leases],
        "status": status,
    }


def _leased(lease: Lease) -> dict[str, Any]:
    expires_at = lease.expires_at.isoformat().replace("+00:00", "Z")
    shown = {} if lease.suggestion is None else {"suggestion": lease.suggestion}
    return {"id": str(lease.id), "data": lease.data, "expires_at": expires_at, **shown}
