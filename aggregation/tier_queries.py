"""Named SQL of the three tiers: what the machine answers alone, and on which certificate."""

# The certificate in force, held: whoever ends it waits, and then sees every label that was given on it.
# Constraint certificate_one_in_force.
CERTIFICATE_IN_FORCE = """
SELECT id, learner_run_id, threshold FROM aggregation_certificate
WHERE project_id = %(project)s AND kind = 'issued' AND ended_at IS NULL FOR SHARE
"""

# Tasks that nobody has voted on or holds, and that are neither gold nor reviewed, are the machine's: retired.
RETIRE_AUTO = """
WITH mine AS (
    SELECT s.task_id FROM projects_taskstate s
    WHERE s.task_id = ANY(%(tasks)s) AND s.retired IS NULL AND s.votes = 0 AND s.leases = 0
      AND (SELECT 1 FROM projects_gold g WHERE g.task_id = s.task_id) IS NULL
      AND (SELECT 1 FROM projects_review r WHERE r.task_id = s.task_id LIMIT 1) IS NULL
    ORDER BY s.task_id FOR UPDATE OF s {wait}
), retired AS (
    UPDATE projects_taskstate s SET retired = 'auto' FROM mine WHERE s.task_id = mine.task_id RETURNING s.task_id
)
UPDATE projects_taskqueue q SET open = false FROM retired WHERE q.task_id = retired.task_id RETURNING q.task_id
"""

# What the machine says of tasks becomes their consensus.
PUBLISH_MACHINE = """
INSERT INTO aggregation_consensus AS c
    (task_id, project_id, label, confidence, votes, posterior, source, retired, run_id, revision, updated_at)
SELECT n.task_id, %(project)s, n.label, n.confidence, 0, n.posterior, 'machine', 'auto', %(run)s,
       pg_current_xact_id()::text::bigint, now()
FROM jsonb_to_recordset(%(rows)s) AS n(task_id bigint, label smallint, confidence float8, posterior jsonb)
WHERE n.task_id = ANY(%(tasks)s)
ON CONFLICT (task_id) DO UPDATE SET
    label = EXCLUDED.label, confidence = EXCLUDED.confidence, votes = 0, posterior = EXCLUDED.posterior,
    source = EXCLUDED.source, retired = EXCLUDED.retired, run_id = EXCLUDED.run_id, revision = EXCLUDED.revision,
    updated_at = EXCLUDED.updated_at
"""

# What is known of tasks that were handed over: published consensus, votes, and what the machine says.
ANSWERS = """
SELECT t.id, t.key, c.label, c.confidence, c.source, c.retired, c.run_id, s.votes, p.posterior, p.run
FROM projects_task t
JOIN projects_taskstate s ON s.task_id = t.id
LEFT JOIN aggregation_consensus c ON c.task_id = t.id
LEFT JOIN projects_prediction p ON p.task_id = t.id
WHERE t.id = ANY(%(tasks)s)
"""
