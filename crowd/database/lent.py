"""Connections that threads use in turn, for statements that stand on indexes and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections

_free: list[Any] = []


@contextmanager
def lent_connection() -> Iterator[None]:
    """In place of this thread's own connection the one used last: its plans are still in the processor's cache.

    A plan that PostgreSQL makes while a table is empty would read all of it for ever, until the table is next analysed:
    these connections use an index wherever there is one.
    """
    own = connections[DEFAULT_DB_ALIAS]
    try:
        lent = _free.pop()
    except IndexError:
        lent = own.copy()
        options = lent.settings_dict["OPTIONS"]
        options["options"] = f"{options.get('options', '')} -c enable_seqscan=off"
        lent.inc_thread_sharing()
    connections[DEFAULT_DB_ALIAS] = lent
    try:
        lent.close_if_unusable_or_obsolete()
        yield
    finally:
        connections[DEFAULT_DB_ALIAS] = own
        _free.append(lent)
