"""Named SQL of places in the queue: tasks that wait for those that settings and learner give them now."""

# Projects with tasks that wait. Read by the sweeper.
PLACES_DUE = "SELECT DISTINCT project_id FROM projects_placesdue"

# The next of a project's tasks, with what the champion has said of them or, where that is nothing, their data; as POOL.
# Index task_by_project.
TO_PLACE = """
SELECT t.id, s.votes, CASE WHEN p.run = %(champion)s::bigint THEN p.posterior END,
       CASE WHEN p.run IS DISTINCT FROM %(champion)s::bigint THEN t.data::text END
FROM projects_task t
JOIN projects_taskstate s ON s.task_id = t.id
LEFT JOIN projects_prediction p ON p.task_id = t.id AND p.task_id >= %(first)s
WHERE t.project_id = %(project)s AND t.id >= %(first)s AND s.task_id >= %(first)s
  AND NOT EXISTS (SELECT FROM projects_gold g WHERE g.task_id = t.id AND g.origin = 'qualification')
ORDER BY t.id LIMIT %(limit)s
"""

# A learner is gone: so is what it said of some tasks, and what that made of those without votes.
FORGET_PREDICTIONS = """
WITH gone AS (
    DELETE FROM projects_prediction WHERE task_id = ANY(%(tasks)s::bigint[]) RETURNING task_id
), locked AS MATERIALIZED (
    SELECT s.task_id FROM projects_taskstate s WHERE s.task_id IN (SELECT task_id FROM gone) AND s.votes = 0
    ORDER BY s.task_id FOR UPDATE
), unknown AS (
    UPDATE projects_taskstate s SET label = NULL, runner_up = NULL, confidence = NULL
    FROM locked WHERE s.task_id = locked.task_id AND s.votes = 0
    RETURNING s.task_id
)
UPDATE projects_taskqueue q SET priority = 1000
FROM unknown, projects_project p
WHERE q.task_id = unknown.task_id AND p.id = %(project)s AND p."order" = 'priority'
  AND NOT starts_with(q.pool, chr(1))
"""
