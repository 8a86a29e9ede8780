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

#: Of the ledger and the budget. Null in a project whose votes cost nothing.
MONEY = {
    "double_paid": "SELECT count(*) - count(DISTINCT vote_id) FROM projects_payment WHERE project_id = %(project)s",
    # Not only above it: what is spent, reserved and available makes up the budget, to the last digit.
    "over_budget": """
    SELECT count(*) FROM projects_project p WHERE id = %(project)s AND budget <>
           coalesce((SELECT sum(amount) FROM projects_payment WHERE project_id = p.id), 0)
         + coalesce((SELECT sum(price) FROM projects_assignment WHERE project_id = p.id AND status = 'open'), 0)
         + (SELECT sum(available) FROM projects_budgetshare WHERE project_id = p.id)
    """,
}
COSTS = "SELECT count(*) FROM projects_budgetshare WHERE project_id = %(project)s"


def violations(connection: Any, project: int, acknowledged: Iterable[tuple[str, str]]) -> dict[str, int | None]:
    """How often each happened. acknowledged: assignments and labels that clients were told are counted."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE acknowledged (assignment uuid, label text) ON COMMIT DROP")
        with cursor.copy("COPY acknowledged FROM STDIN") as copy:
            for row in acknowledged:
                copy.write_row(row)
        found = {"overfilled": OVERFILLED, "repeats": REPEATS, "lost": LOST}
        counted = {name: count(cursor, sql, project) for name, sql in found.items()}
        costs = count(cursor, COSTS, project) > 0
        return counted | {name: count(cursor, sql, project) if costs else None for name, sql in MONEY.items()}


def count(cursor: Any, sql: str, project: int) -> int:
    return int(cursor.execute(sql, {"project": project}).fetchone()[0])
