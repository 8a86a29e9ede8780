"""Named SQL: each statement says what it does, who runs it, and which index it stands on."""

import json
from typing import Any

import psycopg
from django.db import connection

from projects.queries.budget import *  # noqa: F403  # one name space of statements
from projects.queries.keys import *  # noqa: F403  # one name space of statements
from projects.queries.leases import *  # noqa: F403  # one name space of statements
from projects.queries.recompute import *  # noqa: F403  # one name space of statements
from projects.queries.reviews import *  # noqa: F403  # one name space of statements
from projects.queries.settings import *  # noqa: F403  # one name space of statements
from projects.queries.uploads import *  # noqa: F403  # one name space of statements
from projects.queries.votes import *  # noqa: F403  # one name space of statements


def fetch(sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
    """Run one of these statements on the present connection: its rows, or none if it returns nothing.

    Parameters are bound by the server, so that a statement with any is planned once for many runs on one connection
    (setting ``prepare_threshold``); Django's own cursors write them into the text, which is planned anew each time.
    """
    with connection.cursor() as opened:  # what Django checks of a connection before it is used
        cursor = psycopg.Cursor(opened.connection)
        with connection.wrap_database_errors, cursor:
            cursor.execute(sql, parameters, prepare=None if parameters else False)
            return cursor.fetchall() if cursor.description else []


def from_json(value: Any) -> Any:
    """A jsonb column as raw SQL gives it: Django leaves it as text."""
    return json.loads(value) if isinstance(value, str) else value
