"""Named SQL of runs, consensus and selection: what each statement does and which index it stands on."""

# A project's counted votes for a fit, copied in binary. Index vote_by_project.
LOAD_VOTES = """
SELECT task_id, annotator_id, label FROM projects_vote
WHERE project_id = %(project)s AND status = 'counted'
"""

# The tasks a refit publishes, those with votes or gold (-1 where there is none), and the version of their votes; copied
# in binary.
LOAD_TASKS = """
SELECT s.task_id, s.version, coalesce(g.label, -1::smallint)
FROM projects_task t
JOIN projects_taskstate s ON s.task_id = t.id
LEFT JOIN projects_gold g ON g.task_id = t.id
WHERE t.project_id = %(project)s AND (s.votes > 0 OR g.label IS NOT NULL)
ORDER BY s.task_id
"""

# A chunk of tasks to publish. Those that a vote or a lease holds right now are left for the next round.
LOCK_TASKS = """
SELECT s.task_id, s.version, s.votes, s.redundancy, g.label, p.posterior
FROM projects_taskstate s
LEFT JOIN projects_gold g ON g.task_id = s.task_id
LEFT JOIN projects_prediction p ON p.task_id = s.task_id
WHERE s.task_id = ANY(%(tasks)s)
ORDER BY s.task_id
FOR UPDATE OF s {wait}
"""

# Publish consensus: a row is written only where it says something new, so that consumers are told of changes alone.
PUBLISH = """
WITH new AS (
    SELECT * FROM jsonb_to_recordset(%(rows)s) AS n(
        task_id bigint, label smallint, confidence float8, votes integer, retired text, source text, posterior jsonb
    )
)
INSERT INTO aggregation_consensus AS c
    (task_id, project_id, label, confidence, votes, posterior, source, retired, run_id, revision, updated_at)
SELECT task_id, %(project)s, label, confidence, votes, posterior, source, retired, %(run)s,
       pg_current_xact_id()::text::bigint, now()
FROM new
ON CONFLICT (task_id) DO UPDATE SET
    label = EXCLUDED.label, confidence = EXCLUDED.confidence, votes = EXCLUDED.votes, posterior = EXCLUDED.posterior,
    source = EXCLUDED.source, retired = EXCLUDED.retired, run_id = EXCLUDED.run_id, revision = EXCLUDED.revision,
    updated_at = EXCLUDED.updated_at
WHERE (c.label, c.votes, c.source, c.retired) IS DISTINCT FROM
      (EXCLUDED.label, EXCLUDED.votes, EXCLUDED.source, EXCLUDED.retired)
   OR abs(c.confidence - EXCLUDED.confidence) >= %(tolerance)s
   OR c.posterior->'labels' IS DISTINCT FROM EXCLUDED.posterior->'labels'
   OR EXISTS (
        SELECT 1
        FROM jsonb_array_elements_text(coalesce(c.posterior->'p', c.posterior))
             WITH ORDINALITY AS old(p, k)
        JOIN jsonb_array_elements_text(coalesce(EXCLUDED.posterior->'p', EXCLUDED.posterior))
             WITH ORDINALITY AS new(p, k) USING (k)
        WHERE abs(old.p::float8 - new.p::float8) >= %(tolerance)s
   )
"""

# The feed: published rows after a cursor, oldest change first. Only rows of transactions that ended before every
# transaction still running: a slower writer's rows, which will carry a smaller revision, can't be jumped over.
# Index consensus_feed.
FEED = """
SELECT c.task_id, t.key, c.label, c.confidence, c.votes, c.posterior, c.source, c.retired, c.run_id, c.revision,
       c.updated_at
FROM aggregation_consensus c
JOIN projects_task t ON t.id = c.task_id
WHERE c.project_id = %(project)s AND (c.revision, c.task_id) > (%(revision)s, %(task)s)
  AND c.revision < pg_snapshot_xmin(pg_current_snapshot())::text::bigint
ORDER BY c.revision, c.task_id
LIMIT %(limit)s
"""

# The newest transaction that this server knows: no cursor of its own is beyond.
NEWEST = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"

# After a restore into another server, whose transactions are counted anew: every row is published again.
REPUBLISH = "UPDATE aggregation_consensus SET revision = pg_current_xact_id()::text::bigint"

# The export: every published label, by task.
EXPORT = """
SELECT c.task_id, t.key, c.label, c.confidence, c.votes, c.posterior, c.source, c.retired, c.run_id, c.revision,
       c.updated_at
FROM projects_task t
JOIN aggregation_consensus c ON c.task_id = t.id
WHERE t.project_id = %(project)s
ORDER BY t.id
"""

# Projects with something for a refit to see: events, or a request. Read by the sweeper every few seconds.
REFIT_DUE = """
SELECT p.id FROM projects_project p
WHERE p.refit_requested_at IS NOT NULL OR EXISTS (SELECT 1 FROM projects_event e WHERE e.project_id = p.id)
"""

# Projects whose learner is due: asked for; or enough new votes since the last retraining; or some, long ago.
# Votes are counted as of the last refit (its run says how many it saw), not one by one.
RETRAINING_DUE = """
SELECT p.id
FROM projects_project p
LEFT JOIN LATERAL (
    SELECT coalesce((r.counts->>'votes')::bigint, 0) AS votes FROM aggregation_run r
    WHERE r.project_id = p.id AND r.kind = 'refit' AND r.status = 'done' ORDER BY r.id DESC LIMIT 1
) refit ON true
LEFT JOIN LATERAL (
    SELECT coalesce((r.counts->>'votes')::bigint, 0) AS votes, r.started_at FROM aggregation_run r
    WHERE r.project_id = p.id AND r.kind = 'retraining' AND r.status <> 'running' ORDER BY r.id DESC LIMIT 1
) retraining ON true
WHERE p.learner IS NOT NULL AND (%(project)s::bigint IS NULL OR p.id = %(project)s) AND (
    p.retrain_requested_at IS NOT NULL
    OR refit.votes - coalesce(retraining.votes, 0) >= p.retrain_after_votes
    OR (refit.votes > coalesce(retraining.votes, 0)
        AND now() - coalesce(retraining.started_at, p.created_at) >= make_interval(mins => p.retrain_after_minutes))
)
"""

# All tasks of a project in chunks, for a learner's predictions.
POOL = """
SELECT id, data FROM projects_task WHERE project_id = %(project)s AND id > %(after)s ORDER BY id LIMIT %(limit)s
"""

WRITE_PREDICTIONS = """
INSERT INTO projects_prediction (task_id, posterior, run)
SELECT task_id, posterior, %(run)s FROM jsonb_to_recordset(%(rows)s) AS n(task_id bigint, posterior jsonb)
ON CONFLICT (task_id) DO UPDATE SET posterior = EXCLUDED.posterior, run = EXCLUDED.run
"""
