"""Named SQL: each statement says what it does, who runs it, and which index it stands on."""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

import psycopg
from django.db import DEFAULT_DB_ALIAS, Error, connections
from psycopg.adapt import Transformer
from psycopg.pq import Escaping, TransactionStatus

from projects.queries.access import *  # noqa: F403  # one name space of statements
from projects.queries.budget import *  # noqa: F403  # as above
from projects.queries.choosing import *  # noqa: F403  # as above
from projects.queries.confirming import *  # noqa: F403  # as above
from projects.queries.exploring import *  # noqa: F403  # as above
from projects.queries.gold import *  # noqa: F403  # as above
from projects.queries.handover import *  # noqa: F403  # as above
from projects.queries.keys import *  # noqa: F403  # as above
from projects.queries.leases import *  # noqa: F403  # as above
from projects.queries.pools import *  # noqa: F403  # as above
from projects.queries.qualification import *  # noqa: F403  # as above
from projects.queries.quotas import *  # noqa: F403  # as above
from projects.queries.recompute import *  # noqa: F403  # as above
from projects.queries.reviews import *  # noqa: F403  # as above
from projects.queries.sanctions import *  # noqa: F403  # as above
from projects.queries.settings import *  # noqa: F403  # as above
from projects.queries.uploads import *  # noqa: F403  # as above
from projects.queries.votes import *  # noqa: F403  # as above

Rows = list[tuple[Any, ...]]
#: One of these statements with its parameters.
Statement = tuple[str, Mapping[str, Any]]


def fetch(sql: str, **parameters: Any) -> Rows:
    """Run one of these statements on the present connection: its rows, or none if it returns nothing.

    Parameters are bound by the server. It is planned each time: ``fetch_together`` is for what people wait for.
    """
    here = _here()
    with here.wrap_database_errors, psycopg.Cursor(here.connection) as cursor:
        cursor.execute(sql, parameters)
        return _rows(cursor)


def fetch_together(*statements: Statement) -> list[Rows]:
    """Run statements with their parameters one after the other in a single round trip: the rows of each.

    Each sees what those before it did and what others have committed until it begins. Each is prepared, that is planned
    once for many runs on one connection, and only its name is sent. The types of its parameters must be plain from its
    text, by a cast or by what they are compared with.
    """
    return _run(statements)


class Trips:
    """A transaction of few round trips: its BEGIN goes with the first, its COMMIT with the one that is said to be last.

    ``with trips() as trip: …trip(statement, …)…trip(statement, …, last=True)``. Leaving it undoes what was not
    committed. Inside a transaction of Django's it is a part of that; there is none of Django's inside it.
    """

    def __init__(self) -> None:
        self._own = not connections[DEFAULT_DB_ALIAS].in_atomic_block
        self._begun = False

    def __call__(self, *statements: Statement, last: bool = False) -> list[Rows]:
        """As ``fetch_together``."""
        begin = self._own and not self._begun
        self._begun = True
        found = _run(statements, begin=begin, commit=self._own and last)
        self._begun = not (self._own and last)
        return found

    def undo(self) -> None:
        """Take back what was not committed; a connection that can't is closed, which does so."""
        here = connections[DEFAULT_DB_ALIAS]
        if not self._own or not self._begun or here.connection is None:
            return
        with suppress(Error), here.wrap_database_errors:
            _execute(here.connection, b"ROLLBACK")
        if here.connection.info.transaction_status != TransactionStatus.IDLE:
            here.close()


@contextmanager
def trips() -> Iterator[Trips]:
    """One transaction: see ``Trips``."""
    transaction = Trips()
    try:
        yield transaction
    finally:
        transaction.undo()


def _run(statements: Sequence[Statement], *, begin: bool = False, commit: bool = False) -> list[Rows]:
    here = _here()
    session = here.connection
    with here.wrap_database_errors:
        prepared = _prepared.setdefault(session, set())
        literal = _literals(session)
        calls = [b"BEGIN"] if begin else []
        for sql, given in statements:
            name, text, keys = _numbered(sql)
            if name not in prepared:
                _execute(session, f"PREPARE {name} AS {text}".encode())
                prepared.add(name)
            values = b", ".join([literal(given[key]) for key in keys])
            calls.append(b"EXECUTE %b(%b)" % (name.encode(), values) if keys else b"EXECUTE " + name.encode())
        return _execute(session, b"; ".join([*calls, b"COMMIT"] if commit else calls))[begin : begin + len(statements)]


def _execute(session: Any, text: bytes) -> list[Rows]:
    """The rows of each statement of a text without parameters."""
    with psycopg.Cursor(session) as cursor:
        cursor.execute(text)
        found = [_rows(cursor)]
        while cursor.nextset():
            found.append(_rows(cursor))
    return found


def _literals(session: Any) -> Callable[[Any], bytes]:
    """How values are written into a text: quoted, for PostgreSQL to read as the type that it knows them to be of."""
    escaped = Escaping(session.pgconn).escape_literal
    others = Transformer(session)

    def literal(value: Any) -> bytes:
        kind = type(value)
        if value is None:
            return b"NULL"
        if kind is int or kind is float or kind is UUID:
            return b"'%b'" % str(value).encode()
        if kind is str and "\0" not in value:
            return bytes(escaped(value.encode()))
        if kind is list and all(type(each) in _PLAIN for each in value):
            return b"'{%b}'" % ",".join(["NULL" if each is None else str(each) for each in value]).encode()
        return bytes(others.as_literal(value))

    return literal


#: What needs no quotes in a PostgreSQL array.
_PLAIN = {int, float, UUID, type(None)}


#: What each session has prepared.
_prepared: WeakKeyDictionary[Any, set[str]] = WeakKeyDictionary()


@cache
def _numbered(sql: str) -> tuple[str, str, list[str]]:
    """A name for the statement, its text with PostgreSQL's own placeholders, and which parameters they are."""
    keys = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", sql)))
    text = re.sub(r"%\((\w+)\)s", lambda found: f"${keys.index(found[1]) + 1}", sql).replace("%%", "%")
    return f"crowd_{hashlib.sha256(sql.encode()).hexdigest()[:16]}", text, keys


def _here() -> Any:
    """This thread's connection as Django has it, open: what Django does before a cursor, without one around ours."""
    here = connections[DEFAULT_DB_ALIAS]
    here.close_if_health_check_failed()
    here.ensure_connection()
    return here


def _rows(cursor: psycopg.Cursor[tuple[Any, ...]]) -> Rows:
    assert cursor.pgresult
    return cursor.fetchall() if cursor.pgresult.nfields else []


def from_json(value: Any) -> Any:
    """A jsonb column as raw SQL gives it: Django leaves it as text."""
    return json.loads(value) if isinstance(value, str) else value
