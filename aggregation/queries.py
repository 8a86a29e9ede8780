"""Named SQL of runs, consensus and selection: what each statement does and which index it stands on."""

from projects.queries import SETTLED

# A project's counted votes for a fit, copied in binary. Index vote_by_project.
LOAD_VOTES = """
SELECT task_id, annotator_id, label FROM projects_vote
WHERE project_id = %(project)s AND status = 'counted'
"""

# The same where people have ever been shown what the machine says: whoever was counts as somebody of whom no more is
# known, -1 for the first label, -2 for the second, …
LOAD_VOTES_CONFIRMING = """
SELECT v.task_id, CASE WHEN a.shown THEN -1 - a.suggestion::bigint ELSE v.annotator_id END, v.label
FROM projects_vote v LEFT JOIN projects_assignment a ON a.id = v.assignment_id
WHERE v.project_id = %(project)s AND v.status = 'counted'
"""

# The tasks a refit publishes, those that have or had votes or gold (-1 where there is none), and the version of their
# votes; copied in binary. Gold comes twice: all of it, and what was drawn at random, as uploaded gold is taken to be.
LOAD_TASKS = """
SELECT s.task_id, s.version, coalesce(g.label, -1::smallint),
       CASE WHEN g.origin IN ('uploaded', 'audit') THEN g.label ELSE -1::smallint END
FROM projects_task t
JOIN projects_taskstate s ON s.task_id = t.id
LEFT JOIN projects_gold g ON g.task_id = t.id
WHERE t.project_id = %(project)s AND (s.votes > 0 OR g.label IS NOT NULL OR s.version > 0)
  AND g.origin IS DISTINCT FROM 'qualification'
ORDER BY s.task_id
"""

# What the learner thinks of the tasks that a refit loads.
LOAD_PREDICTIONS = """
SELECT p.task_id, p.posterior
FROM projects_task t
JOIN projects_taskstate s ON s.task_id = t.id
JOIN projects_prediction p ON p.task_id = t.id
LEFT JOIN projects_gold g ON g.task_id = t.id
WHERE t.project_id = %(project)s AND (s.votes > 0 OR g.label IS NOT NULL OR s.version > 0)
"""

# A chunk of tasks to publish, as they are. Those that a vote or a lease holds right now are left for the next round.
LOCK_TASKS = f"""
SELECT s.task_id, s.version, s.votes, s.redundancy, {SETTLED},
       g.label, p.posterior, t.posterior
FROM projects_taskstate s
LEFT JOIN projects_gold g ON g.task_id = s.task_id
LEFT JOIN projects_prediction p ON p.task_id = s.task_id
LEFT JOIN projects_taskposterior t ON t.task_id = s.task_id
WHERE s.task_id = ANY(%(tasks)s)
ORDER BY s.task_id
FOR UPDATE OF s {{wait}}
"""

# What a refit has made of annotators, on its way in.
FITTED_TABLES = """
CREATE TEMPORARY TABLE fitted_skill (annotator_id bigint, accuracy float8, skill float8) ON COMMIT DROP;
CREATE TEMPORARY TABLE fitted_confusion (annotator_id bigint, voted smallint, vector float8[]) ON COMMIT DROP
"""

# Skills become the fitted ones, written where they change; whoever the fit does not know is unknown again.
REPLACE_SKILLS = """
WITH gone AS (
    DELETE FROM projects_skill k
    WHERE k.project_id = %(project)s AND NOT EXISTS (SELECT FROM fitted_skill f WHERE f.annotator_id = k.annotator_id)
)
INSERT INTO projects_skill AS k (annotator_id, project_id, accuracy, skill, run)
SELECT annotator_id, %(project)s, accuracy, skill, %(run)s FROM fitted_skill
ON CONFLICT (annotator_id) DO UPDATE SET accuracy = EXCLUDED.accuracy, skill = EXCLUDED.skill, run = EXCLUDED.run
WHERE (k.accuracy, k.skill) IS DISTINCT FROM (EXCLUDED.accuracy, EXCLUDED.skill)
"""

# So do confusions. Constraint confusion_once.
REPLACE_CONFUSIONS = """
WITH gone AS (
    DELETE FROM projects_confusion c USING projects_member m
    WHERE m.id = c.annotator_id AND m.project_id = %(project)s
      AND NOT EXISTS (SELECT FROM fitted_confusion f WHERE f.annotator_id = c.annotator_id)
)
INSERT INTO projects_confusion AS c (annotator_id, voted, vector)
SELECT annotator_id, voted, vector FROM fitted_confusion
ON CONFLICT (annotator_id, voted) DO UPDATE SET vector = EXCLUDED.vector WHERE c.vector IS DISTINCT FROM EXCLUDED.vector
"""

# A chunk of tasks on their way in. Kept by the session, since a refit fills it once for every thousand tasks.
REFITTED_TABLE = """
CREATE TEMPORARY TABLE IF NOT EXISTS refitted (
    task_id bigint, label smallint, runner_up smallint, confidence float8, retired text, priority smallint,
    votes integer, source text, posterior jsonb
) ON COMMIT DELETE ROWS
"""

# Publish consensus: a row is written only where it says something new, so that consumers are told of changes alone.
# Whether confidence is calibrated is for its run to say, so that a change of that is news too. Rows that a run left
# which never ended are written anew: the run that a row names is done, or being done.
PUBLISH = """
INSERT INTO aggregation_consensus AS c
    (task_id, project_id, label, confidence, votes, posterior, source, retired, run_id, revision, updated_at)
SELECT task_id, %(project)s, label, confidence, votes, posterior, source, retired, %(run)s,
       pg_current_xact_id()::text::bigint, now()
FROM refitted WHERE retired IS DISTINCT FROM 'auto'
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
   OR (SELECT r.status <> 'done' OR (coalesce(r.metrics->'calibration', 'null') <> 'null') <> %(calibrated)s
       FROM aggregation_run r WHERE r.id = c.run_id)
"""

# Tasks that experts have decided since the last refit began; and the projects that have any. Index event_review.
REVIEWED = """
SELECT DISTINCT task FROM projects_event WHERE project_id = %(project)s AND kind = 'review' ORDER BY task
"""
REVIEWS_DUE = "SELECT DISTINCT project_id FROM projects_event WHERE kind = 'review'"

# Answers on gold, of annotators with so many, but for those of who was shown what the machine says. What experts
# reviewed was disputed and measures nobody.
GOLD_FIGURES = """
SELECT v.annotator_id, count(*) FILTER (WHERE v.label = g.label), count(*)
FROM projects_gold g JOIN projects_vote v ON v.task_id = g.task_id
LEFT JOIN projects_assignment a ON a.id = v.assignment_id
WHERE g.project_id = %(project)s AND g.origin <> 'review' AND v.status = 'counted' AND a.shown IS NOT TRUE
GROUP BY v.annotator_id HAVING count(*) >= %(minimum)s
ORDER BY v.annotator_id
"""

# The median time of everybody's last votes, as many as asked for. Index vote_of_annotator.
SPEED_FIGURES = """
SELECT m.id, count(*), percentile_cont(0.5) WITHIN GROUP (ORDER BY last.seconds)
FROM projects_member m
CROSS JOIN LATERAL (
    SELECT v.seconds FROM projects_vote v
    WHERE v.annotator_id = m.id AND v.seconds IS NOT NULL AND v.status = 'counted'
    ORDER BY v.created_at DESC LIMIT %(minimum)s
) last
WHERE m.project_id = %(project)s
GROUP BY m.id ORDER BY m.id
"""

# The feed: published rows after a cursor, oldest change first. Only rows of transactions that ended before every
# transaction still running: a slower writer's rows, which will carry a smaller revision, can't be jumped over.
# Index consensus_feed.
FEED = """
SELECT c.task_id, t.key, c.label, c.confidence, c.votes, c.posterior, c.source, c.retired, c.run_id, c.revision,
       c.updated_at, CASE r.kind WHEN 'refit' THEN nullif(r.metrics->'calibration', 'null') - 'curve' END
FROM aggregation_consensus c
JOIN projects_task t ON t.id = c.task_id
JOIN aggregation_run r ON r.id = c.run_id
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
       c.updated_at, CASE r.kind WHEN 'refit' THEN nullif(r.metrics->'calibration', 'null') - 'curve' END
FROM projects_task t
JOIN aggregation_consensus c ON c.task_id = t.id
JOIN aggregation_run r ON r.id = c.run_id
WHERE t.project_id = %(project)s
ORDER BY t.id
"""

# What a project's next refit has to see, noted before it loads the votes; and what it has seen.
NEWS = "SELECT id, CASE WHEN kind = 'vote' THEN task END FROM projects_event WHERE project_id = %(project)s"
NO_NEWS = "DELETE FROM projects_event WHERE id = ANY(%(events)s)"

# Projects with something for a refit to see: events, or a request. Read by the sweeper every few seconds.
REFIT_DUE = """
SELECT p.id FROM projects_project p
WHERE p.refit_requested_at IS NOT NULL OR EXISTS (SELECT 1 FROM projects_event e WHERE e.project_id = p.id)
"""

# Projects that wait for a backtest, or whose backtest was killed. Index: one_backtest_at_a_time.
BACKTESTS_DUE = "SELECT project_id FROM aggregation_backtest WHERE finished_at IS NULL"

# Projects whose learner is due: asked for; or enough new votes since the last retraining, or some, long ago; or
# consensus has moved since; or a remote learner has rested after it failed; or a retraining was killed, if it is not at
# work. Votes are counted as of the last refit (its run says how many it saw, and how far consensus has moved), not one
# by one.
RETRAINING_DUE = """
SELECT p.id
FROM projects_project p
LEFT JOIN LATERAL (
    SELECT r.id, coalesce((r.counts->>'votes')::bigint, 0) AS votes, (r.metrics->>'moved')::float8 AS moved
    FROM aggregation_run r
    WHERE r.project_id = p.id AND r.kind = 'refit' AND r.status = 'done' ORDER BY r.id DESC LIMIT 1
) refit ON true
LEFT JOIN LATERAL (
    SELECT r.id, coalesce((r.counts->>'votes')::bigint, 0) AS votes, r.started_at, r.status FROM aggregation_run r
    WHERE r.project_id = p.id AND r.kind = 'retraining' AND r.status <> 'running' ORDER BY r.id DESC LIMIT 1
) retraining ON true
WHERE (%(project)s::bigint IS NULL OR p.id = %(project)s) AND (
    EXISTS (SELECT FROM aggregation_run r WHERE r.project_id = p.id AND r.kind = 'retraining' AND r.status = 'running')
    OR p.learner IS NOT NULL AND (
        p.retrain_requested_at IS NOT NULL
        OR refit.votes - coalesce(retraining.votes, 0) >= p.retrain_after_votes
        OR (refit.votes > coalesce(retraining.votes, 0)
            AND now() - coalesce(retraining.started_at, p.created_at) >= make_interval(mins => p.retrain_after_minutes))
        OR (retraining.status = 'done' AND refit.id > retraining.id AND refit.moved >= p.retrain_after_moved)
        OR (retraining.status = 'failed' AND p.learner = 'remote' AND EXISTS (
            SELECT FROM aggregation_remotelearner l
            WHERE l.project_id = p.id AND l.failures > 0 AND l.rests_until <= now()
        ))
    )
)
"""

# All tasks of a project in chunks, for a learner's predictions; without those that train and test annotators, which are
# no part of what is to be labelled. Index task_by_project. Both tables begin behind the chunk before: they are merged,
# and would be read from their beginning for each chunk.
POOL = """
SELECT t.id, s.votes, t.data::text FROM projects_task t
JOIN projects_taskstate s ON s.task_id = t.id
WHERE t.project_id = %(project)s AND t.id > %(after)s AND s.task_id > %(after)s
  AND NOT EXISTS (SELECT FROM projects_gold g WHERE g.task_id = t.id AND g.origin = 'qualification')
ORDER BY t.id LIMIT %(limit)s
"""

# Predictions of a few tasks.
WRITE_PREDICTIONS = """
INSERT INTO projects_prediction (task_id, posterior, run)
SELECT task_id, posterior, %(run)s FROM jsonb_to_recordset(%(rows)s) AS n(task_id bigint, posterior jsonb)
ON CONFLICT (task_id) DO UPDATE SET posterior = EXCLUDED.posterior, run = EXCLUDED.run
"""

# The present transaction's commit returns before it is on the disk.
NO_WAIT = "SET LOCAL synchronous_commit = off"

# The next of the chunks that a run has set aside: taken away by whoever applies it.
TAKE_PREDICTED = """
DELETE FROM aggregation_predictedchunk WHERE id = (
    SELECT id FROM aggregation_predictedchunk WHERE run_id = %(run)s ORDER BY last_task LIMIT 1
) RETURNING tasks, proba
"""

# A running run has come so much further.
NOTE_PROGRESS = """
UPDATE aggregation_run SET progress = least(progress + %(more)s::float8, 1) WHERE id = %(run)s AND status = 'running'
RETURNING id
"""

# A chunk of predictions becomes the tasks' own; a task that could not be read has none.
APPLY_PREDICTIONS = """
INSERT INTO projects_prediction (task_id, posterior, run)
SELECT task_id, posterior::jsonb, %(run)s::bigint
FROM unnest(%(tasks)s::bigint[], string_to_array(%(posteriors)s::text, ';')) AS n(task_id, posterior)
ON CONFLICT (task_id) DO UPDATE SET posterior = EXCLUDED.posterior, run = EXCLUDED.run
"""
FORGET_UNREADABLE = "DELETE FROM projects_prediction WHERE task_id = ANY(%(tasks)s::bigint[])"

# A chunk of tasks that have new predictions is locked; those of which more is known than that are told.
LOCK_PREDICTED = f"""
WITH locked AS MATERIALIZED (
    SELECT s.task_id, s.votes, s.redundancy, s.retired, {SETTLED} AS settled, g.label
    FROM projects_taskstate s
    LEFT JOIN projects_gold g ON g.task_id = s.task_id
    WHERE s.task_id = ANY(%(tasks)s::bigint[])
    ORDER BY s.task_id
    FOR UPDATE OF s
)
SELECT task_id, votes, redundancy, settled, label, NULL FROM locked
WHERE votes > 0 OR retired IS NOT NULL OR label IS NOT NULL ORDER BY task_id
"""

# The others, which nobody has voted on, are what their predictions make of them: they are open, and have no posterior
# of their own. They are locked. What changes by less than the tolerances stays: it would be no other queue, and most
# rows of a million would be written with every retraining.
WRITE_PREDICTED = """
WITH new AS (
    SELECT * FROM unnest(
        %(tasks)s::bigint[], %(labels)s::smallint[], %(runners_up)s::smallint[], %(confidences)s::float8[],
        %(priorities)s::smallint[]
    ) AS n(task_id, label, runner_up, confidence, priority)
), state AS (
    UPDATE projects_taskstate s
    SET label = new.label, runner_up = new.runner_up, confidence = new.confidence, run = %(run)s::bigint
    FROM new
    WHERE s.task_id = new.task_id
      AND (s.label IS DISTINCT FROM new.label
           OR (abs(s.confidence - new.confidence) < %(tolerance)s::float8) IS NOT TRUE)
)
UPDATE projects_taskqueue q SET priority = new.priority FROM new
WHERE q.task_id = new.task_id AND abs(q.priority - new.priority) >= %(places)s::integer
"""

# The first tasks of the queue that nobody has voted on or holds, of those that a run has predicted. Index queue_next.
FIRST_PREDICTED = """
SELECT q.task_id, q.priority, t.data::text
FROM projects_taskqueue q
JOIN projects_taskstate s ON s.task_id = q.task_id AND s.votes = 0 AND s.leases = 0
JOIN projects_prediction p ON p.task_id = q.task_id AND p.run = %(run)s
JOIN projects_task t ON t.id = q.task_id
WHERE q.project_id = %(project)s AND q.pool = '' AND q.open AND q.priority * -1 >= -1000
ORDER BY q.priority * -1, q.task_id LIMIT %(limit)s
"""

# These come before all that is chosen by doubt, unless somebody has voted on them in the meantime.
PUT_FIRST = """
WITH mine AS (
    SELECT task_id FROM projects_taskstate
    WHERE task_id = ANY(%(tasks)s::bigint[]) AND votes = 0 ORDER BY task_id FOR UPDATE
)
UPDATE projects_taskqueue q SET priority = 1000 FROM mine WHERE q.task_id = mine.task_id AND q.priority < 1000
"""

# What a run has predicted of some tasks.
PREDICTED_BY = """
SELECT task_id, posterior FROM projects_prediction WHERE task_id = ANY(%(tasks)s) AND run = %(run)s ORDER BY task_id
"""

# Gold of a random draw that nobody has voted on: its tasks' data, for the learner to be measured by.
GOLD_WITHOUT_VOTES = """
SELECT t.data, g.label
FROM projects_gold g
JOIN projects_task t ON t.id = g.task_id
JOIN projects_taskstate s ON s.task_id = g.task_id
WHERE g.project_id = %(project)s AND g.origin IN ('uploaded', 'audit') AND s.votes = 0
ORDER BY g.task_id
"""

NEWEST_VOTE = "SELECT coalesce(max(id), 0) FROM projects_vote WHERE project_id = %(project)s"

# Learners that nobody can ask for any more: kept are those of runs that go on, of the champion, of the last runs that
# were in force, and the newest, whose labels taught are compared with later ones. The runs themselves stay.
PRUNE_ARTEFACTS = """
DELETE FROM aggregation_learnerartefact a USING aggregation_run r
WHERE r.id = a.run_id AND r.project_id = %(project)s AND r.status <> 'running'
  AND r.id IS DISTINCT FROM (SELECT learner_run FROM projects_livemodel WHERE project_id = %(project)s)
  AND r.id NOT IN (
        SELECT id FROM aggregation_run
        WHERE project_id = %(project)s AND kind = 'retraining' AND status = 'done' AND metrics->'promoted' = 'true'
        ORDER BY id DESC LIMIT %(keep)s
  )
  AND r.id < (
        SELECT max(n.run_id) FROM aggregation_learnerartefact n JOIN aggregation_run o ON o.id = n.run_id
        WHERE o.project_id = %(project)s
  )
"""
