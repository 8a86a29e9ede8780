"""Named SQL: each statement says what it does, who runs it, and which index it stands on."""

import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

import psycopg
from django.db import connection

from projects.queries.access import *  # noqa: F403  # one name space of statements
from projects.queries.budget import *  # noqa: F403  # as above
from projects.queries.gold import *  # noqa: F403  # as above
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


def fetch(sql: str, **parameters: Any) -> Rows:
    """Run one of these statements on the present connection: its rows, or none if it returns nothing.

    Parameters are bound by the server. It is planned each time: ``fetch_together`` is for what people wait for.
    """
    with connection.wrap_database_errors, psycopg.Cursor(_connection()) as cursor:
        cursor.execute(sql, parameters)
        return _rows(cursor)


def fetch_together(*statements: tuple[str, Mapping[str, Any]]) -> list[Rows]:
    """Run statements with their parameters one after the other in a single round trip: the rows of each.

    Each sees what those before it did and what others have committed until it begins. Each is prepared, that is planned
    once for many runs on one connection, and only its name is sent. The types of its parameters must be plain from its
    text, by a cast or by what they are compared with.
    """
    session = _connection()
    prepared = _prepared.setdefault(session, set())
    numbered = [_numbered(sql) for sql, _ in statements]
    with connection.wrap_database_errors, psycopg.ClientCursor(session) as cursor:
        for name, text, _ in numbered:
            if name not in prepared:
                cursor.execute(f"PREPARE {name} AS {text}".encode())
                prepared.add(name)
        calls = [
            f"EXECUTE {name}({', '.join(['%s'] * len(keys))})" if keys else f"EXECUTE {name}"
            for name, _, keys in numbered
        ]
        given = [given[key] for (_, given), (_, _, keys) in zip(statements, numbered, strict=True) for key in keys]
        cursor.execute("; ".join(calls).encode(), given)
        found = [_rows(cursor)]
        while cursor.nextset():
            found.append(_rows(cursor))
    return found


#: What each session has prepared.
_prepared: WeakKeyDictionary[Any, set[str]] = WeakKeyDictionary()


@cache
def _numbered(sql: str) -> tuple[str, str, list[str]]:
    """A name for the statement, its text with PostgreSQL's own placeholders, and which parameters they are."""
    keys = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", sql)))
    text = re.sub(r"%\((\w+)\)s", lambda found: f"${keys.index(found[1]) + 1}", sql).replace("%%", "%")
    return f"crowd_{hashlib.sha256(sql.encode()).hexdigest()[:16]}", text, keys


def _connection() -> Any:
    """The present connection: what Django does before it opens a cursor, without a cursor of its own around ours."""
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    return connection.connection


def _rows(cursor: psycopg.Cursor[tuple[Any, ...]]) -> Rows:
    assert cursor.pgresult
    return cursor.fetchall() if cursor.pgresult.nfields else []


def from_json(value: Any) -> Any:
    """A jsonb column as raw SQL gives it: Django leaves it as text."""
    return json.loads(value) if isinstance(value, str) else value
