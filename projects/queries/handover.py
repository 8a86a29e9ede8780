"""Tasks from systems in production, a few at a time."""

# Ids for new tasks, as an upload takes them.
NEW_TASK_IDS = """
SELECT nextval(pg_get_serial_sequence('projects_task', 'id')) FROM generate_series(1, %(count)s)
"""

# Tasks handed over, unless their key is known: with task, state and queue row, before all others, and with a lot where
# a share is left to chance (as DRAW_LOTS). The project's row is held, so that settings change for all of its tasks or
# before these come; whoever adds the same key waits.
# Constraint task_key_once_per_project.
HAND_OVER = """
WITH p AS MATERIALIZED (
    SELECT id, redundancy, explore_share FROM projects_project WHERE id = %(project)s FOR SHARE
), task AS (
    INSERT INTO projects_task (id, project_id, key, data, created_at)
    SELECT t.id, p.id, t.key, t.data, now()
    FROM p, jsonb_to_recordset(%(tasks)s) AS t(id bigint, key text, data jsonb)
    ORDER BY t.key  -- so that of two requests for the same keys none waits for the other in a circle
    ON CONFLICT (project_id, key) DO NOTHING
    RETURNING id
), state AS (
    INSERT INTO projects_taskstate (task_id, project_id, votes, leases, redundancy, version)
    SELECT task.id, p.id, 0, 0, p.redundancy, 0 FROM task, p
), queue AS (
    INSERT INTO projects_taskqueue (task_id, project_id, pool, open, priority, lot)
    SELECT task.id, p.id, '', true, %(priority)s,
           CASE WHEN p.explore_share IS NOT NULL THEN trunc(2147483647 * random())::int END
    FROM task, p
)
SELECT id FROM task
"""

# The tasks with these keys, and whether they hold the data given.
HANDED_OVER = """
SELECT g.key, t.id, t.data = g.data
FROM jsonb_to_recordset(%(tasks)s) AS g(key text, data jsonb)
JOIN projects_task t ON t.project_id = %(project)s AND t.key = g.key
"""
