"""A share of new assignments is left to chance."""

from projects.queries.gold import NOT_GIVEN_BACK
from projects.queries.leases import CANDIDATE, IDLE, LEASE_STATEMENT, PLAIN

# Of a project that explores every task has a lot, drawn once; of any other none has.
DRAW_LOTS = """
WITH locked AS MATERIALIZED (
    SELECT s.task_id, p.explore_share
    FROM projects_project p
    JOIN projects_taskstate s ON s.task_id = ANY(%(tasks)s::bigint[])
    JOIN projects_taskqueue q ON q.task_id = s.task_id
    WHERE p.id = %(project)s AND (q.lot IS NULL) = (p.explore_share IS NOT NULL)
    ORDER BY s.task_id FOR UPDATE OF s
)
UPDATE projects_taskqueue q
SET lot = CASE WHEN explore_share IS NOT NULL THEN trunc(2147483647 * random())::int END
FROM locked WHERE q.task_id = locked.task_id
"""

# As LEASE, of any open tasks: the next by lot, from a place drawn at random on. Lots know nothing of tasks, so that
# each is as probable as any other. "coins" were tossed for 1, 2, … assignments, those held included (as in INJECT): so
# many of the new ones are left to chance, and the share is noted with them. LEASE does the others in the same
# transaction.
# Index queue_by_lot.
_ANY = """
    (SELECT task_id, lot::bigint AS rank FROM projects_taskqueue
     WHERE project_id = %(project)s AND pool = %(pool)s AND open AND lot >= %(lot)s ORDER BY lot, task_id LIMIT 200)
    UNION ALL
    (SELECT task_id, 2147483648 + lot AS rank FROM projects_taskqueue
     WHERE project_id = %(project)s AND pool = %(pool)s AND open AND lot < %(lot)s ORDER BY lot, task_id LIMIT 200)
"""
_BY_CHANCE = """
    coalesce((%(coins)s::int[])[%(count)s + 1]
             - (%(coins)s::int[])[(SELECT count(*)::int FROM held) + 1], 0)"""
EXPLORE = LEASE_STATEMENT.format(
    candidates=f"candidate AS ({CANDIDATE.format(queue=_ANY, idle=IDLE + NOT_GIVEN_BACK, limit=_BY_CHANCE)})",
    reached=")",
    order="given.leased_at NULLS LAST, given.rank, given.task_id",
    **PLAIN | {"column": ", explored", "value": ", %(share)s::float8"},
)
