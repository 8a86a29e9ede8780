"""One refit and one retraining of a project at a time: PostgreSQL's advisory locks, which die with their connection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

from django.db import connection


class Lock(IntEnum):
    """The first half of an advisory lock's key; the second is the project, or the webhook."""

    REFIT = 71_001
    RETRAINING = 71_002
    TIERS = 71_007
    BACKTEST = 71_004
    WEBHOOK = 71_005
    PLACES = 71_006
    TARGET = 71_008


@contextmanager
def advisory_lock(lock: Lock, key: int) -> Iterator[bool]:
    """Whether this session got the lock; held until the block ends, or the process is killed."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [lock.value, key])
        (acquired,) = cursor.fetchone()
    try:
        yield acquired
    finally:
        if acquired:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [lock.value, key])
