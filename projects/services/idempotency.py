"""Idempotency keys: the row is inserted first, so that of equal requests at once one does the work.

``Idempotency-Key`` as in the IETF's draft-ietf-httpapi-idempotency-key-header: a caller who does not know whether a
request arrived sends it again with the same key, and gets the answer of the first time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from projects import queries
from projects.errors import KeyInProgress, KeyReused
from projects.models import IdempotencyKey
from projects.queries import fetch

#: How long an answer can be asked for again.
KEPT = timedelta(hours=24)
#: Work that has given no answer for so long was killed: whoever sends the request again does it.
ABANDONED_AFTER = timedelta(minutes=2)


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes


def claim(*, user_id: int, path: str, key: str, digest: bytes) -> int | Answer:
    """The number of a key that is now ours to work on, or the answer that was given to this request before.

    Raises KeyReused if the key came with another request, KeyInProgress if that one has no answer yet.
    """
    who = {"user": user_id, "path": path, "key": key}
    rows = fetch(queries.CLAIM_KEY, **who, digest=digest, abandoned_after=ABANDONED_AFTER, kept=KEPT)
    if rows:
        return int(rows[0][0])
    stored = IdempotencyKey.objects.filter(user=user_id, path=path, key=key).first()
    if stored is None:  # its request failed since: nobody has it
        return claim(user_id=user_id, path=path, key=key, digest=digest)
    if bytes(stored.digest) != digest:
        raise KeyReused()
    if stored.status is None or stored.body is None:
        raise KeyInProgress()
    return Answer(stored.status, bytes(stored.body))


def keep(*, number: int, answer: Answer) -> None:
    """Keep the answer for whoever asks again."""
    IdempotencyKey.objects.filter(id=number, status__isnull=True).update(status=answer.status, body=answer.body)


def abandon(*, number: int) -> None:
    """Forget a key whose request failed on our side: it may be sent again."""
    IdempotencyKey.objects.filter(id=number, status__isnull=True).delete()


def forget_old_keys(*, limit: int = 1000) -> int:
    """Forget up to ``limit`` keys that are older than they are kept; how many."""
    ((forgotten,),) = fetch(queries.FORGET_KEYS, kept=KEPT, limit=limit)
    return int(forgotten)
