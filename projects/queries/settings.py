"""Settings that change in a running project."""

# Before all tasks of a project change: a statement of its own, so that the next one's snapshot has what was waited for
# (also of the queue's rows, which are not locked). In task order, so that it can't deadlock with the sweeper.
LOCK_STATES = """
SELECT count(*) FROM (
    SELECT 1 FROM projects_taskstate
    WHERE task_id IN (SELECT id FROM projects_task WHERE project_id = %(project)s)
    ORDER BY task_id FOR UPDATE
) locked
"""

# Every task wants a new number of votes, at once. The tasks are locked; RETIRE_ANEW follows.
CHANGE_REDUNDANCY = """
UPDATE projects_taskstate s SET redundancy = greatest(%(redundancy)s, s.votes + s.leases)
FROM projects_task t
WHERE t.project_id = %(project)s AND s.task_id = t.id AND s.own_redundancy IS NULL
"""

# What core.stopping.retire_reason says of every task without gold, from the project's settings and the confidence that
# the task has. The tasks are locked.
RETIRE_ANEW = """
WITH said AS (
    SELECT s.task_id, CASE
        WHEN s.retired IN ('flagged', 'reviewed') OR s.retired = 'auto' AND s.votes = 0 THEN s.retired
        WHEN s.votes >= s.redundancy AND s.votes > 0 AND s.confidence < p.flag_below THEN 'disputed'
        WHEN s.votes >= s.redundancy THEN 'redundancy'
        WHEN s.votes >= p.min_votes AND s.confidence >= p.target_confidence
             AND (p.auto_label_error IS NULL OR NOT EXISTS (SELECT FROM projects_audit d WHERE d.task_id = t.id))
        THEN 'target'
    END AS retired
    FROM projects_project p
    JOIN projects_task t ON t.project_id = p.id
    JOIN projects_taskstate s ON s.task_id = t.id
    WHERE p.id = %(project)s AND (s.votes = 0 OR NOT EXISTS (SELECT FROM projects_gold g WHERE g.task_id = t.id))
), changed AS (
    UPDATE projects_taskstate s SET retired = said.retired
    FROM said WHERE s.task_id = said.task_id AND s.retired IS DISTINCT FROM said.retired
)
UPDATE projects_taskqueue q SET open = said.retired IS NULL, review = said.retired IN ('flagged', 'disputed') IS TRUE
FROM said
WHERE q.task_id = said.task_id
  AND (q.open, q.review) IS DISTINCT FROM (said.retired IS NULL, said.retired IN ('flagged', 'disputed') IS TRUE)
"""

# The project allows another number of skips: tasks with as many are flagged at once, flagged ones with fewer are not.
# The tasks are locked; RETIRE_ANEW follows.
CHANGE_MAX_SKIPS = """
WITH skipped AS (
    SELECT a.task_id, count(*) AS n
    FROM projects_task t JOIN projects_assignment a ON a.task_id = t.id
    WHERE t.project_id = %(project)s AND a.status = 'skipped' AND a.skip_reason IN ('broken', 'unclear')
    GROUP BY a.task_id
)
UPDATE projects_taskstate s SET retired = CASE WHEN s.retired IS NULL THEN 'flagged' END
FROM skipped
WHERE s.task_id = skipped.task_id
  AND (s.retired IS NULL AND skipped.n >= %(max_skips)s::int
       OR s.retired = 'flagged' AND (skipped.n >= %(max_skips)s::int) IS NOT TRUE)
"""

# Another order, at once. By priority, it is the uncertainty of the labels that the tasks have; jobs then make of it
# what the project's acquisition function does. Gold that is injected is in no order. The tasks are locked.
CHANGE_ORDER = """
WITH new AS (
    SELECT s.task_id,
           CASE p."order" WHEN 'sequential' THEN 0
                          WHEN 'random' THEN trunc(1001 * random())
                          WHEN 'breadth_first' THEN greatest(1000 - s.votes, 0)
                          WHEN 'depth_first' THEN least(s.votes, 1000)
                          ELSE coalesce(round(1000 * (1 - s.confidence) * n / (n - 1)), 1000) END AS priority
    FROM projects_taskstate s
    JOIN projects_task t ON t.id = s.task_id
    JOIN projects_project p ON p.id = t.project_id, LATERAL (SELECT cardinality(p.labels) AS n) labels
    WHERE t.project_id = %(project)s
)
UPDATE projects_taskqueue q SET priority = new.priority
FROM new WHERE q.task_id = new.task_id AND q.priority <> new.priority AND NOT starts_with(q.pool, chr(1))
"""
