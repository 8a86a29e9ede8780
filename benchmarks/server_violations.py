"""What must never happen, counted in SQL after the run from the rows of what people did, not from counters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

#: Tasks with more counted votes and open leases than votes wanted.
OVERFILLED = """
SELECT count(*) FROM projects_taskstate s
LEFT JOIN (SELECT task_id, count(*) AS n FROM projects_vote
           WHERE project_id = %(project)s AND status = 'counted' GROUP BY task_id) v ON v.task_id = s.task_id
LEFT JOIN (SELECT task_id, count(*) AS n FROM projects_assignment
           WHERE project_id = %(project)s AND status = 'open' GROUP BY task_id) a ON a.task_id = s.task_id
WHERE s.project_id = %(project)s AND coalesce(v.n, 0) + coalesce(a.n, 0) > s.redundancy
"""

#: Times that somebody got a task again which they had, or voted on one again.
REPEATS = """
SELECT (SELECT count(*) - count(DISTINCT (task_id, annotator_id)) FROM projects_assignment
        WHERE project_id = %(project)s AND status <> 'expired')
     + (SELECT count(*) - count(DISTINCT (task_id, annotator_id)) FROM projects_vote
        WHERE project_id = %(project)s AND status = 'counted')
"""

#: Votes that a client was told are counted, and that are not stored as they were cast.
LOST = """
SELECT count(*) FROM acknowledged k
WHERE NOT EXISTS (
    SELECT FROM projects_vote v
    WHERE v.assignment_id = k.assignment AND v.status = 'counted' AND v.answer->>'label' = k.label
)
"""

#: Of the ledger and the budget: what counts their violations, and the table that it reads. Null without that table.
MONEY = {
    "double_paid": (
        "projects_payment",
        """
        SELECT count(*) - count(DISTINCT p.vote_id) FROM projects_payment p
        JOIN projects_vote v ON v.id = p.vote_id WHERE v.project_id = %(project)s
        """,
    ),
    "over_budget": (
        "projects_budget",
        "SELECT count(*) FROM projects_budget WHERE project_id = %(project)s AND spent + reserved > amount",
    ),
}


def violations(connection: Any, project: int, acknowledged: Iterable[tuple[str, str]]) -> dict[str, int | None]:
    """How often each happened. acknowledged: assignments and labels that clients were told are counted."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE acknowledged (assignment uuid, label text) ON COMMIT DROP")
        with cursor.copy("COPY acknowledged FROM STDIN") as copy:
            for row in acknowledged:
                copy.write_row(row)
        found = {"overfilled": OVERFILLED, "repeats": REPEATS, "lost": LOST}
        counted = {name: count(cursor, sql, project) for name, sql in found.items()}
        return counted | {
            name: count(cursor, sql, project) if exists(cursor, table) else None for name, (table, sql) in MONEY.items()
        }


def count(cursor: Any, sql: str, project: int) -> int:
    return int(cursor.execute(sql, {"project": project}).fetchone()[0])


def exists(cursor: Any, table: str) -> bool:
    return cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [table]).fetchone() == (True,)
