"""Tasks that only members with their tag may have."""

# Which of these pools have open tasks, that with the task to be handed out first before the others. Index queue_next.
POOLS_IN_ORDER = """
SELECT pool FROM unnest(%(pools)s::text[]) pool, LATERAL (
    SELECT priority * -1 AS rank, task_id FROM projects_taskqueue q
    WHERE q.project_id = %(project)s AND q.pool = pool.pool AND q.open
    ORDER BY priority * -1, task_id LIMIT 1
) first
ORDER BY rank, task_id
"""

# Open tasks of each pool, beside gold that is injected, and the people who may have them.
POOLS = """
SELECT q.pool, q.open, (SELECT count(*) FROM projects_member m
                        WHERE m.project_id = %(project)s AND m.user_id IS NOT NULL
                          AND m.role IN ('manager', 'annotator') AND q.pool = ANY(m.tags))
FROM (
    SELECT pool, count(*) FILTER (WHERE open) AS open FROM projects_taskqueue
    WHERE project_id = %(project)s AND pool NOT IN ('', %(reserved)s) AND left(pool, 1) <> chr(1)
    GROUP BY pool
) q
ORDER BY q.pool
"""
