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
