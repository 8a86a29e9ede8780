"""Votes and leases of people at work, past the machinery that is there for everything else."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from io import BytesIO
from typing import Any

import orjson
from django.db import Error, connection

from projects.access import ANNOTATORS, Seen, require_seen, seen_by_api_token
from projects.api import shapes
from projects.api.work import lease_answer, next_of, stored
from projects.errors import DomainError
from projects.services.leases import lease_at_once, lease_next
from projects.services.together import Together
from projects.services.voting import Ballot, Taken, plain_ballot, take_ballots

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]
Headers = list[tuple[str, str]]

ROAD = re.compile(r"/api/projects/([0-9]{1,18})/(votes|assignments)")
NEXT = re.compile(r"(?:next=([0-9]{1,9}))?")
#: Bytes of a body; a plain one is much shorter.
LONGEST = 1_000_000
#: What an answer's headers depend on.
ASKED = ("PATH_INFO", "HTTP_HOST", "HTTP_X_FORWARDED_PROTO", "wsgi.url_scheme", "HTTP_ACCEPT", "HTTP_ORIGIN")
#: What has the whole machinery's attention.
SPECIAL = ("HTTP_COOKIE", "HTTP_IDEMPOTENCY_KEY", "HTTP_TRANSFER_ENCODING", "HTTP_CONTENT_ENCODING", "HTTP_EXPECT")
#: Addresses, as asked for, whose headers a process remembers.
REMEMBERED = 1000


class QuickLane:
    """A WSGI application (PEP 3333) before Django's, with the same answers from the same services.

    It takes what annotators' clients send all day: a POST of plain JSON with an API token that Django has answered
    before, by the same host and from the same rows of user, membership and project. So who may do what, by which host,
    with which headers, is always Django's decision; remembered, and the rows checked in the transaction of the vote
    itself. Votes that come while others are being stored are stored together. Whatever is out of the ordinary (a
    refusal, an error, a page's session) goes to Django, which begins anew: votes and leases may be repeated.
    """

    def __init__(self, application: Application) -> None:
        self.application = application
        self.headers: dict[tuple[Any, ...], Headers] = {}

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        road = ROAD.fullmatch(environ["PATH_INFO"]) if environ["REQUEST_METHOD"] == "POST" else None
        if road is None or any(name in environ for name in SPECIAL):
            return self.application(environ, start_response)
        asked = tuple(environ.get(name) for name in ASKED)
        headers = self.headers.get(asked)
        if headers is None:
            return self.application(environ, self._remembering(asked, start_response))
        answer = _answer(environ, int(road[1]), road[2])
        if answer is None:
            return self.application(environ, start_response)
        start_response("200 OK", [*headers, ("Content-Length", str(len(answer)))])
        return [answer]

    def _remembering(self, asked: tuple[Any, ...], start_response: Callable[..., Any]) -> Callable[..., Any]:
        def start(status: str, headers: Headers, *more: Any) -> Any:
            kept = [(name, value) for name, value in headers if name != "Content-Length"]
            if status == "200 OK" and len(self.headers) < REMEMBERED and "Set-Cookie" not in dict(headers):
                self.headers[asked] = kept
            return start_response(status, headers, *more)

        return start


def _answer(environ: Environ, project_id: int, to: str) -> bytes | None:
    """The answer's body, or None where Django had better give it."""
    scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    length = environ.get("CONTENT_LENGTH", "")
    if scheme != "Bearer" or environ.get("CONTENT_TYPE") != "application/json" or not length.isdecimal():
        return None
    seen = seen_by_api_token(token, project_id)
    if seen is None or seen.member.role not in ANNOTATORS or int(length) > LONGEST:
        return None
    body = environ["wsgi.input"].read(int(length))
    environ["wsgi.input"] = BytesIO(body)
    connection.close_if_unusable_or_obsolete()
    try:
        asked = orjson.loads(body)
        give = _votes if to == "votes" else _leases
        answer = give(asked, environ.get("QUERY_STRING", ""), seen)
    except (ValueError, DomainError, Error):
        return None
    return None if answer is None else orjson.dumps(answer)


def _votes(body: Any, query: str, seen: Seen) -> dict[str, Any] | None:
    asked, votes = NEXT.fullmatch(query), shapes.plain_votes(body)
    if asked is None or votes is None:
        return None
    count = next_of(asked[1])
    ballot = plain_ballot(member=seen.member, votes=votes, count=count or 0)
    if ballot is None:
        return None
    taken = _together((seen, ballot))
    if len(taken.stored) < len(votes):
        return None
    answer: dict[str, Any] = {"results": [stored(vote.assignment) for vote in votes]}
    if count is None:
        return answer
    enough = len(taken.leases) >= ballot.count
    return answer | lease_answer(
        seen.member, *((taken.leases, "ok") if enough else lease_next(member=seen.member, count=ballot.count))
    )


def _take(wishes: Sequence[tuple[Seen, Ballot]]) -> list[Taken]:
    still = require_seen(wishes[0][1].member.project_id, [seen for seen, _ in wishes])
    return take_ballots([ballot for _, ballot in wishes], provided=[still])


_together: Together[tuple[Seen, Ballot], Taken] = Together(
    _take, group=lambda wish: wish[1].member.project_id, person=lambda wish: wish[1].member.id
)


def _leases(body: Any, query: str, seen: Seen) -> dict[str, Any] | None:
    count = shapes.plain_count(body)
    if query or count is None:
        return None
    still = require_seen(seen.member.project_id, [seen])
    leased = lease_at_once(member=seen.member, count=count, provided=still)
    return None if leased is None else shapes.leased(leased, "ok")
