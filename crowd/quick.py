"""Votes and leases of people at work, past the machinery that is there for everything else."""

from __future__ import annotations

import logging
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from io import BytesIO
from typing import Any

import orjson
from django.db import Error, connection
from psycopg.errors import LockNotAvailable

from crowd.database.lent import lent_connection
from projects.access import Seen, forget, require_seen, seen_by_api_token
from projects.api import shapes
from projects.api.work import lease_answer, next_of, stored
from projects.errors import DomainError
from projects.queries import CHANGED
from projects.services.ballots import Ballot, Taken, plain_ballot, take_ballots
from projects.services.hints import send_hint
from projects.services.leases import lease_next
from projects.services.together import Failed, Together

logger = logging.getLogger(__name__)

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]
Headers = list[tuple[str, str]]

ROAD = re.compile(r"/api/projects/([0-9]{1,18})/(votes|assignments)")
NEXT = re.compile(r"(?:next=([0-9]{1,9}))?")
#: Bytes of a body; a plain one is much shorter.
LONGEST = 1_000_000
#: What an answer's headers depend on, besides what is asked for; and how long it is where it is plain.
ASKED = ("HTTP_HOST", "HTTP_X_FORWARDED_PROTO", "wsgi.url_scheme", "HTTP_ACCEPT")
PLAIN = 200
#: What has the whole machinery's attention.
SPECIAL = ("HTTP_COOKIE", "HTTP_IDEMPOTENCY_KEY", "HTTP_TRANSFER_ENCODING", "HTTP_CONTENT_ENCODING", "HTTP_EXPECT")
#: Answers whose headers a process remembers.
KEPT_HEADERS = 100
#: Votes or leases of one person that are done with those of others: many are dear enough to be kept apart.
FEW = 5


class QuickLane:
    """A WSGI application (PEP 3333) before Django's, with the same answers from the same services.

    It takes what annotators' clients send all day: a POST of plain JSON by an API token, host and headers that Django
    has answered before. The rows of user, membership and project are remembered as Django's authentication read them;
    that they are still the same is checked in the transaction of the vote itself. What comes while others are
    served is done together. Whatever is out of the ordinary (a refusal, an error, a page's session) goes to
    Django, which begins anew: votes and leases may be repeated.
    """

    def __init__(self, application: Application) -> None:
        self.application = application
        self.headers: OrderedDict[tuple[Any, ...], Headers] = OrderedDict()

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        road = ROAD.fullmatch(environ["PATH_INFO"]) if environ["REQUEST_METHOD"] == "POST" else None
        if road is None or any(name in environ for name in SPECIAL):
            return self.application(environ, start_response)
        asked = (road[2], *[environ.get(name, "")[:PLAIN] for name in ASKED])
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
            plain = all(len(each) < PLAIN for each in asked) and "Set-Cookie" not in dict(headers)
            if status == "200 OK" and plain:
                self.headers[asked] = [(name, value) for name, value in headers if name != "Content-Length"]
                if len(self.headers) > KEPT_HEADERS:
                    with suppress(KeyError):  # another thread may have taken the same
                        self.headers.popitem(last=False)
            return start_response(status, headers, *more)

        return start


def _answer(environ: Environ, project_id: int, to: str) -> bytes | None:
    """The answer's body, or None where Django had better give it."""
    scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    length = environ.get("CONTENT_LENGTH", "")
    plain = scheme == "Bearer" and token.isascii() and environ.get("CONTENT_TYPE") == "application/json"
    if not plain or not re.fullmatch("[0-9]{1,9}", length) or int(length) > LONGEST:
        return None
    seen = seen_by_api_token(token, project_id)
    if seen is None:
        return None
    body = environ["wsgi.input"].read(int(length))
    environ["wsgi.input"] = BytesIO(body)
    try:
        connection.close_if_unusable_or_obsolete()
        give = _votes if to == "votes" else _leases
        answer = give(orjson.loads(body), environ.get("QUERY_STRING", ""), seen)
        # Numbers beyond 64 bits are nothing that this knows how to write.
        return None if answer is None else orjson.dumps(answer)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError, DomainError):
        return None
    except Exception as error:
        # Django asks anew who this is, and whoever may is remembered anew.
        forget(project_id, seen)
        if not _is_ordinary(error):
            logger.warning("Votes or leases went to Django after an error", exc_info=True)
        return None


def _is_ordinary(error: BaseException | None) -> bool:
    """Somebody in the group was changed, or a lock was held for long; or whoever led the group tells of it."""
    if isinstance(error, Error):
        error = error.__cause__
    return (
        isinstance(error, Failed | LockNotAvailable)
        or error is not None
        and getattr(error, "sqlstate", None) == CHANGED
    )


def _votes(body: Any, query: str, seen: Seen) -> dict[str, Any] | None:
    asked, votes = NEXT.fullmatch(query), shapes.plain_votes(body)
    if asked is None or votes is None:
        return None
    count = next_of(asked[1])
    ballot = plain_ballot(member=seen.member, votes=votes, count=count or 0)
    if ballot is None:
        return None
    taken = _together((seen, ballot)) if len(votes) <= FEW else _take([(seen, ballot)])[0]
    if taken.stored:
        send_hint("aggregation.refit", seen.member.project_id)
    if len(taken.stored) < len(votes):
        return None
    answer: dict[str, Any] = {"results": [stored(vote.assignment) for vote in votes]}
    if count is None:
        return answer
    enough = len(taken.leases) >= ballot.count
    given, why = (taken.leases, "ok") if enough else lease_next(member=seen.member, count=ballot.count)
    return answer | lease_answer(seen.member, given, why)


def _take(wishes: Sequence[tuple[Seen, Ballot]]) -> list[Taken]:
    still = require_seen(wishes[0][1].member.project_id, [seen for seen, _ in wishes])
    with lent_connection():
        return take_ballots([ballot for _, ballot in wishes], provided=[still])


_together: Together[tuple[Seen, Ballot], Taken] = Together(
    _take, group=lambda wish: wish[1].member.project_id, person=lambda wish: wish[1].member.id
)


def _leases(body: Any, query: str, seen: Seen) -> dict[str, Any] | None:
    count = shapes.plain_count(body)
    ballot = None if query or count is None else plain_ballot(member=seen.member, votes=[], count=count)
    if ballot is None:
        return None
    taken = _together((seen, ballot)) if ballot.count <= FEW else _take([(seen, ballot)])[0]
    return None if len(taken.leases) < ballot.count else shapes.leased(taken.leases, "ok")
