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

# Every task wants a new number of votes, at once. The tasks are locked.
CHANGE_REDUNDANCY = """
WITH changed AS (
    UPDATE projects_taskstate s
    SET redundancy = greatest(%(redundancy)s, s.votes + s.leases),
        retired = CASE WHEN s.retired = 'flagged' THEN 'flagged'
                       WHEN s.votes >= greatest(%(redundancy)s, s.votes + s.leases) THEN 'redundancy'
                       WHEN s.retired = 'redundancy' THEN NULL ELSE s.retired END
    FROM projects_task t
    WHERE t.project_id = %(project)s AND s.task_id = t.id AND s.own_redundancy IS NULL
    RETURNING s.task_id, s.retired
)
UPDATE projects_taskqueue q SET open = changed.retired IS NULL
FROM changed WHERE q.task_id = changed.task_id AND q.open IS DISTINCT FROM (changed.retired IS NULL)
"""

# A learner is gone: so are its predictions, and what they made of tasks without votes. The tasks are locked.
FORGET_PREDICTIONS = """
WITH gone AS (
    DELETE FROM projects_prediction p USING projects_task t
    WHERE t.project_id = %(project)s AND p.task_id = t.id RETURNING p.task_id
), unknown AS (
    UPDATE projects_taskstate s SET label = NULL, runner_up = NULL, confidence = NULL
    FROM gone WHERE s.task_id = gone.task_id AND s.votes = 0
    RETURNING s.task_id
)
UPDATE projects_taskqueue q SET priority = 1000 FROM unknown WHERE q.task_id = unknown.task_id
"""

# The project allows another number of skips: tasks with as many are flagged at once, flagged ones with fewer go on.
CHANGE_MAX_SKIPS = """
WITH skipped AS (
    SELECT a.task_id, count(*) AS n
    FROM projects_task t JOIN projects_assignment a ON a.task_id = t.id
    WHERE t.project_id = %(project)s AND a.status = 'skipped' AND a.skip_reason IN ('broken', 'unclear')
    GROUP BY a.task_id
), changed AS (
    UPDATE projects_taskstate s
    SET retired = CASE WHEN s.retired IS NULL THEN 'flagged' WHEN s.votes >= s.redundancy THEN 'redundancy' END
    FROM skipped
    WHERE s.task_id = skipped.task_id
      AND (s.retired IS NULL AND skipped.n >= %(max_skips)s::int
           OR s.retired = 'flagged' AND (skipped.n >= %(max_skips)s::int) IS NOT TRUE)
    RETURNING s.task_id, s.retired
)
UPDATE projects_taskqueue q SET open = changed.retired IS NULL
FROM changed WHERE q.task_id = changed.task_id
"""
