"""Named SQL of the three tiers: what the machine answers alone, and on which certificate."""

# The certificate in force, held: whoever ends it waits, and then sees every label that was given on it. There is none
# once the manager wants fewer errors or more confidence, nor of a learner that is in force no more, whatever may still
# be stored of what it said. Constraint certificate_one_in_force.
CERTIFICATE_IN_FORCE = """
SELECT c.id, c.learner_run_id, c.threshold, (c.figures->>'sharpness')::float8, c.before_task,
       coalesce((c.figures->>'first')::bigint, 0)
FROM aggregation_certificate c
JOIN projects_project p ON p.id = c.project_id
JOIN projects_livemodel m ON m.project_id = c.project_id
WHERE c.project_id = %(project)s AND c.kind = 'issued' AND c.ended_at IS NULL AND c.learner_run_id = m.learner_run
  AND c.error <= p.auto_label_error AND c.confidence >= p.auto_label_confidence
FOR SHARE OF c
"""

# Tasks that nobody has voted on or holds, and that are no audits, gold nor reviewed, are the machine's: retired.
RETIRE_AUTO = """
WITH mine AS (
    SELECT s.task_id FROM projects_taskstate s
    WHERE s.task_id = ANY(%(tasks)s) AND s.retired IS NULL AND s.votes = 0 AND s.leases = 0
      AND (SELECT 1 FROM projects_gold g WHERE g.task_id = s.task_id) IS NULL
      AND (SELECT 1 FROM projects_review r WHERE r.task_id = s.task_id LIMIT 1) IS NULL
      AND (SELECT 1 FROM projects_audit d WHERE d.task_id = s.task_id) IS NULL
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

# What is known of tasks that were handed over: published consensus, votes, what the machine says, and whether it may:
# without audits, only where nobody has voted.
ANSWERS = """
SELECT t.id, t.key, c.label, c.confidence, c.source, c.retired, c.run_id, s.votes, p.posterior, p.run, s.retired,
       s.votes = 0 OR d.task_id IS NOT NULL
FROM projects_task t
JOIN projects_taskstate s ON s.task_id = t.id
LEFT JOIN projects_audit d ON d.task_id = t.id
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

# What the learner of a retraining has predicted, in chunks. Index task_by_project. Both tables begin behind the chunk
# before, or merging them would read one from its beginning.
PREDICTED = """
SELECT t.id, p.posterior FROM projects_task t JOIN projects_prediction p ON p.task_id = t.id AND p.run = %(run)s
WHERE t.project_id = %(project)s AND t.id > %(after)s AND p.task_id > %(after)s
ORDER BY t.id LIMIT %(limit)s
"""

# The same as numbers, on their way in.
SCORED_TABLE = """
CREATE TEMPORARY TABLE IF NOT EXISTS scored (task_id bigint, score float8, label smallint, lot float8, taught boolean)
ON COMMIT DELETE ROWS
"""
WRITE_SCORED = """
INSERT INTO aggregation_scored AS z (task_id, project_id, run, score, label, lot, taught)
SELECT task_id, %(project)s, %(run)s, score, label, lot, taught FROM scored
ON CONFLICT (task_id) DO UPDATE
SET run = EXCLUDED.run, score = EXCLUDED.score, label = EXCLUDED.label, taught = EXCLUDED.taught
"""

# What the champion has scored; and what of it, in the part of the project that is looked at, it may label.
_SCORED = """
FROM aggregation_scored z
JOIN projects_taskstate s ON s.task_id = z.task_id
LEFT JOIN projects_gold g ON g.task_id = z.task_id
LEFT JOIN projects_audit d ON d.task_id = z.task_id
WHERE z.project_id = %(project)s AND z.run = %(run)s
"""
# Nobody who draws may pass over what others count: no task that experts have dealt with, nor one of which people were
# shown what the machine says, whose late votes would be no audit.
_FREE = """
z.task_id >= %(first)s AND NOT z.taught AND s.votes = 0 AND s.leases = 0 AND (s.retired IS NULL OR s.retired = 'auto')
AND g.task_id IS NULL AND d.task_id IS NULL
AND NOT EXISTS (SELECT FROM projects_review r WHERE r.task_id = z.task_id)
AND (%(confirmed)s AND z.task_id IN (
    SELECT a.task_id FROM projects_member m JOIN projects_assignment a ON a.annotator_id = m.id
    WHERE m.project_id = %(project)s AND a.shown
)) IS NOT TRUE
"""

# Of all tasks that the champion has scored, by how many thresholds they are at or above: those free for it to label,
# open ones, those of which people are shown what it says, and both that are free; those voted on, and the newest.
COUNT_POOL = f"""
SELECT band, count(*) FILTER (WHERE free), count(*) FILTER (WHERE open), count(*) FILTER (WHERE open AND sure),
       count(*) FILTER (WHERE free AND open), count(*) FILTER (WHERE free AND open AND sure),
       count(*) FILTER (WHERE votes > 0), count(*), max(task_id)
FROM (
    SELECT z.task_id, width_bucket(z.score, %(thresholds)s::float8[]) AS band, s.votes, s.retired IS NULL AS open,
           z.score >= %(confirm)s AS sure, {_FREE} AND z.task_id < %(before)s AS free
    {_SCORED} AND (g.task_id IS NULL OR g.origin = 'review')
) AS pool
GROUP BY band
"""
POOL_SCORES = f"SELECT z.score {_SCORED} AND {_FREE}"

# The free tasks that are sure enough, and still people's.
SURE = f"""
SELECT z.task_id {_SCORED} AND {_FREE} AND s.retired IS NULL AND z.score >= %(threshold)s AND z.task_id < %(before)s
ORDER BY z.task_id
"""

# Free tasks whose lot is below the share of their like become audits. What is locked right now waits for the next draw.
# Index scored_by_lot.
DRAW_AUDITS = f"""
WITH mine AS (
    SELECT z.task_id, z.lot, (%(shares)s::float8[])[width_bucket(z.score, %(thresholds)s::float8[])] AS share
    {_SCORED} AND {_FREE} AND z.lot < %(most)s AND (%(tasks)s::bigint[] IS NULL OR z.task_id = ANY(%(tasks)s))
      AND z.lot < (%(shares)s::float8[])[width_bucket(z.score, %(thresholds)s::float8[])]
    ORDER BY z.task_id FOR UPDATE OF s SKIP LOCKED
)
INSERT INTO projects_audit (task_id, project_id, probability, run, drawn_at)
SELECT task_id, %(project)s, share, %(run)s, now() FROM mine
ON CONFLICT (task_id) DO NOTHING RETURNING task_id
"""

# All audits of what the champion may label, with what people have made of them, or known answers, which taught nobody.
# Index of audits by project.
AUDITS = """
SELECT z.task_id, z.score, z.label, z.lot, d.drawn_at < now() - %(patience)s, s.votes, s.retired, coalesce(g.label, -1)
FROM projects_audit d
JOIN aggregation_scored z ON z.task_id = d.task_id AND z.run = %(run)s AND NOT z.taught
JOIN projects_taskstate s ON s.task_id = d.task_id
LEFT JOIN projects_gold g ON g.task_id = d.task_id
WHERE d.project_id = %(project)s AND d.task_id >= %(first)s
ORDER BY d.task_id
"""

# What the machine says of some tasks by this retraining.
SAID = "SELECT task_id, posterior FROM projects_prediction WHERE task_id = ANY(%(tasks)s) AND run = %(run)s"

# Tasks that are the machine's: which a certificate does not cover, or which it covers with another label (true).
# Without one, all.
NOT_COVERED = """
SELECT s.task_id, z.covered IS TRUE
FROM projects_task t
JOIN projects_taskstate s ON s.task_id = t.id
LEFT JOIN aggregation_consensus c ON c.task_id = t.id
LEFT JOIN LATERAL (
    SELECT z.label,
           z.run = %(run)s::bigint AND z.score >= %(threshold)s::float8 AND z.task_id < %(before)s::bigint
           AND z.task_id >= %(first)s::bigint AS covered
    FROM aggregation_scored z WHERE z.task_id = t.id
) AS z ON true
WHERE t.project_id = %(project)s AND s.retired = 'auto' AND s.votes = 0
  AND (z.covered IS NOT TRUE OR c.label IS DISTINCT FROM z.label)
ORDER BY t.id
"""

# Tasks that still are the machine's, held: nobody can answer them meanwhile.
HOLD_ALONE = """
SELECT task_id FROM projects_taskstate
WHERE task_id = ANY(%(tasks)s) AND retired = 'auto' AND votes = 0 ORDER BY task_id FOR UPDATE
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
