"""A task's posterior from its counted votes."""

# What a set of tasks' posteriors are made of, read under the tasks' locks. Indexes: primary keys.
TASKS_TO_RECOMPUTE = """
SELECT s.task_id, s.votes, s.redundancy, CASE WHEN s.retired IN ('flagged', 'reviewed') THEN s.retired END,
       g.label, p.posterior
FROM projects_taskstate s
LEFT JOIN projects_gold g ON g.task_id = s.task_id
LEFT JOIN projects_prediction p ON p.task_id = s.task_id
WHERE s.task_id = ANY(%(tasks)s)
"""

# The counted votes of a set of tasks, each with what a refit, and which one, has made of its annotator, or of people
# whom it does not know. Index vote_once_per_task_and_annotator.
VOTES_TO_RECOMPUTE = """
SELECT m.run, v.task_id, v.label, coalesce(c.vector, e.confusion), k.accuracy, e.vector
FROM projects_vote v
JOIN projects_livemodel m ON m.project_id = v.project_id
JOIN projects_poolederror e ON e.project_id = v.project_id AND e.voted = v.label
LEFT JOIN projects_confusion c ON c.annotator_id = v.annotator_id AND c.voted = v.label
LEFT JOIN projects_skill k ON k.annotator_id = v.annotator_id
WHERE v.task_id = ANY(%(tasks)s) AND v.status = 'counted'
ORDER BY v.task_id, v.id
"""

# Write recomputed tasks: hot row, posterior and queue row, each only where it changes.
WRITE_TASKS = """
WITH new AS (
    SELECT * FROM {rows}
), state AS (
    UPDATE projects_taskstate s
    SET label = new.label, runner_up = new.runner_up, confidence = new.confidence, retired = new.retired, run = %(run)s
    FROM new
    WHERE s.task_id = new.task_id
      AND (s.label, s.runner_up, s.confidence, s.retired)
          IS DISTINCT FROM (new.label, new.runner_up, new.confidence, new.retired)
), queue AS (
    UPDATE projects_taskqueue q
    SET open = new.retired IS NULL, priority = new.priority, review = new.retired IN ('flagged', 'disputed') IS TRUE
    FROM new
    WHERE q.task_id = new.task_id
      AND (q.open, q.priority, q.review)
          IS DISTINCT FROM (new.retired IS NULL, new.priority, new.retired IN ('flagged', 'disputed') IS TRUE)
)
INSERT INTO projects_taskposterior AS p (task_id, posterior)
SELECT task_id, posterior FROM new
ON CONFLICT (task_id) DO UPDATE SET posterior = EXCLUDED.posterior WHERE p.posterior IS DISTINCT FROM EXCLUDED.posterior
"""
ROWS_OF_JSON = """
    jsonb_to_recordset(%(rows)s) AS n(
        task_id bigint, label smallint, runner_up smallint, confidence float8, retired text, priority smallint,
        posterior jsonb
    )
"""
