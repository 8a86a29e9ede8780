"""Named SQL of the three tiers: what the machine answers alone, and on which certificate."""

# The certificate in force, held: whoever ends it waits, and then sees every label that was given on it.
# Constraint certificate_one_in_force.
CERTIFICATE_IN_FORCE = """
SELECT id, learner_run_id, threshold, (figures->>'sharpness')::float8 FROM aggregation_certificate
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

# Projects whose tiers are to be looked at: settings have changed or a run was done since the last look. Read by the
# sweeper. Index run_latest.
LOOKS_DUE = """
SELECT p.id FROM projects_project p LEFT JOIN aggregation_auditing a ON a.project_id = p.id
WHERE (%(project)s::bigint IS NULL OR p.id = %(project)s)
  AND (a.project_id IS NOT NULL OR p.auto_label_error IS NOT NULL OR p.confirm_above IS NOT NULL)
  AND (a.seen_version IS DISTINCT FROM p.version OR a.rests_until <= now()
       AND (SELECT max(r.id) FROM aggregation_run r WHERE r.project_id = p.id AND r.status = 'done') > a.seen_run)
"""

# Tasks that the learner of a retraining has predicted, with what people have made of them, in chunks. Known answers are
# no part of it, but those of reviews. Index task_by_project.
PREDICTED = """
SELECT s.task_id, p.posterior, s.votes, s.leases, s.retired, coalesce(g.label, -1), t.created_at < now() - %(patience)s
FROM projects_task t
JOIN projects_taskstate s ON s.task_id = t.id
JOIN projects_prediction p ON p.task_id = t.id AND p.run = %(run)s
LEFT JOIN projects_gold g ON g.task_id = t.id
WHERE t.project_id = %(project)s AND t.id > %(after)s AND (g.task_id IS NULL OR g.origin = 'review')
ORDER BY t.id LIMIT %(limit)s
"""

# What the machine says of some tasks by this retraining; and the tasks that are its own, with what they say.
SAID = "SELECT task_id, posterior FROM projects_prediction WHERE task_id = ANY(%(tasks)s) AND run = %(run)s"
ALONE = """
SELECT s.task_id, p.posterior, p.run, c.label
FROM projects_taskstate s
JOIN projects_task t ON t.id = s.task_id
LEFT JOIN projects_prediction p ON p.task_id = s.task_id
LEFT JOIN aggregation_consensus c ON c.task_id = s.task_id
WHERE t.project_id = %(project)s AND t.id > %(after)s AND s.retired = 'auto' AND s.votes = 0
ORDER BY t.id LIMIT %(limit)s
"""

# Tasks that were the machine's are open again, and consumers are told that there is no label.
REOPEN = """
WITH mine AS (
    SELECT task_id FROM projects_taskstate
    WHERE task_id = ANY(%(tasks)s) AND retired = 'auto' AND votes = 0 ORDER BY task_id FOR UPDATE
), reopened AS (
    UPDATE projects_taskstate s SET retired = NULL FROM mine WHERE s.task_id = mine.task_id RETURNING s.task_id
), queued AS (
    UPDATE projects_taskqueue q SET open = true FROM reopened WHERE q.task_id = reopened.task_id
), told AS (
    UPDATE aggregation_consensus c
    SET label = NULL, confidence = NULL, posterior = NULL, source = 'revoked', retired = NULL,
        revision = pg_current_xact_id()::text::bigint, updated_at = now()
    FROM reopened WHERE c.task_id = reopened.task_id
)
SELECT task_id FROM reopened
"""

# Audits come before all that production does not wait for.
ASK_AUDITS = """
UPDATE projects_taskqueue SET priority = %(priority)s
WHERE task_id = ANY(%(tasks)s) AND open AND priority < %(priority)s
"""

# The last run that was done.
LAST_RUN = "SELECT coalesce(max(id), 0) FROM aggregation_run WHERE project_id = %(project)s AND status = 'done'"
