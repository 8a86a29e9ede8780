"""A task's posterior from its counted votes."""

# What has settled a task that no vote undoes: an expert, those who found it broken, or the machine while nobody votes.
SETTLED = """
CASE WHEN s.retired IN ('flagged', 'reviewed') OR s.retired = 'auto' AND s.votes = 0 THEN s.retired END"""

# What a set of tasks' posteriors are made of, read under the tasks' locks. Indexes: primary keys.
TASKS_TO_RECOMPUTE = f"""
SELECT s.task_id, s.votes, s.redundancy, {SETTLED},
       g.label, p.posterior
FROM projects_taskstate s
LEFT JOIN projects_gold g ON g.task_id = s.task_id
LEFT JOIN projects_prediction p ON p.task_id = s.task_id
WHERE s.task_id = ANY(%(tasks)s)
"""

# The same with the tasks' counted votes, a row for each (or one without), each with what a refit has made of its
# annotator; and the versions of the settings and of the live model. One snapshot: they can't be of different refits.
# Without those of gold that is injected: they decide nothing, and their number would be seen in the time that it takes.
# Indexes: primary keys, vote_once_per_task_and_annotator, confusion_once. OFFSET 0: task by task, which a plan that is
# made while there are few votes would as soon do by reading all of them.
_TASKS_WITH_VOTES = """
SELECT s.task_id, s.votes, s.redundancy, {settled},
       g.label, p.posterior, o.version, m.xmin::text || m.ctid::text, votes.label, votes.vector, votes.accuracy
FROM projects_taskstate s
JOIN projects_project o ON o.id = s.project_id
JOIN projects_livemodel m ON m.project_id = s.project_id
LEFT JOIN projects_gold g ON g.task_id = s.task_id
LEFT JOIN projects_prediction p ON p.task_id = s.task_id
LEFT JOIN LATERAL (
    SELECT v.id, v.label, {vector}, {accuracy}
    FROM projects_vote v
    LEFT JOIN projects_confusion c ON c.annotator_id = v.annotator_id AND c.voted = v.label
    LEFT JOIN projects_skill k ON k.annotator_id = v.annotator_id {confirming}
    WHERE v.task_id = s.task_id AND v.status = 'counted' AND (g.task_id IS NULL OR o.gold_share IS NULL)
    OFFSET 0
) votes ON true
WHERE s.task_id = ANY({tasks})
ORDER BY s.task_id, votes.id
"""
_PLAIN = {"vector": "c.vector", "accuracy": "k.accuracy", "confirming": ""}
# Whoever was shown what the machine says votes as people do who are shown this label.
_CONFIRMING = {
    "vector": "CASE WHEN a.shown THEN w.vector ELSE c.vector END AS vector",
    "accuracy": "CASE WHEN a.shown THEN w.accuracy ELSE k.accuracy END AS accuracy",
    "confirming": """
    LEFT JOIN projects_assignment a ON a.id = v.assignment_id
    LEFT JOIN projects_confirmconfusion w
        ON w.project_id = v.project_id AND w.shown = a.suggestion AND w.voted = v.label""",
}


def tasks_with_votes(tasks: str, *, confirming: bool) -> str:
    """The statement for an array of tasks. confirming: where people have ever been shown what the machine says."""
    return _TASKS_WITH_VOTES.format(settled=SETTLED, tasks=tasks, **_CONFIRMING if confirming else _PLAIN)


_THESE = "%(tasks)s::bigint[]"
_OF_ASSIGNMENTS = "ARRAY(SELECT task_id FROM projects_assignment WHERE id = ANY(%(assignments)s::uuid[]))"
TASKS_WITH_VOTES = tasks_with_votes(_THESE, confirming=False)
TASKS_VOTED_ON = tasks_with_votes(_OF_ASSIGNMENTS, confirming=False)
TASKS_WITH_VOTES_CONFIRMING = tasks_with_votes(_THESE, confirming=True)
TASKS_VOTED_ON_CONFIRMING = tasks_with_votes(_OF_ASSIGNMENTS, confirming=True)

# Those of some tasks that audit the machine. Index: primary key.
AUDITS_AMONG = "SELECT task_id FROM projects_audit WHERE task_id = ANY(%(tasks)s)"

# A project's live model: its version, its row, and how people err by voted label. Few rows: read when it has changed.
LIVE_MODEL = """
SELECT m.xmin::text || m.ctid::text, m.run, m.label_prior, m.kind_prior, m.pooled_accuracy, m.prediction_weight,
       m.teaching, m.calibration, e.errors, e.confusions
FROM projects_livemodel m, LATERAL (
    SELECT json_agg(vector ORDER BY voted) AS errors, json_agg(confusion ORDER BY voted) AS confusions
    FROM projects_poolederror WHERE project_id = m.project_id
) e
WHERE m.project_id = %(project)s
"""

# Write recomputed tasks: hot row, posterior and queue row, each only where it changes.
_WRITE_TASKS = """
WITH new AS (
    SELECT * FROM {rows}
), state AS (
    UPDATE projects_taskstate s
    SET label = new.label, runner_up = new.runner_up, confidence = new.confidence, retired = new.retired,
        run = %(run)s::bigint
    FROM new
    WHERE s.task_id = new.task_id
      AND (s.label, s.runner_up, s.confidence, s.retired)
          IS DISTINCT FROM (new.label, new.runner_up, new.confidence, new.retired)
), queue AS (
    UPDATE projects_taskqueue q
    SET open = new.retired IS NULL, priority = coalesce(new.priority, q.priority),
        review = new.retired IN ('flagged', 'disputed') IS TRUE
    FROM new
    WHERE q.task_id = new.task_id
      AND (q.open, q.priority, q.review)
          IS DISTINCT FROM (new.retired IS NULL, coalesce(new.priority, q.priority),
                            new.retired IN ('flagged', 'disputed') IS TRUE)
)
{posteriors}
"""
WRITE_TASKS = _WRITE_TASKS.format(
    rows="{rows}",
    posteriors="""
INSERT INTO projects_taskposterior AS p (task_id, posterior)
SELECT task_id, posterior FROM new
ON CONFLICT (task_id) DO UPDATE SET posterior = EXCLUDED.posterior WHERE p.posterior IS DISTINCT FROM EXCLUDED.posterior
""",
)
# Of tasks without votes, whose prediction tells as much: none is given a posterior of its own.
WRITE_UNVOTED_TASKS = _WRITE_TASKS.format(
    rows="{rows}",
    posteriors="""
UPDATE projects_taskposterior p SET posterior = new.posterior
FROM new WHERE p.task_id = new.task_id AND p.posterior IS DISTINCT FROM new.posterior
""",
)
# The same of a few tasks (migration 15).
WRITE_FEW_TASKS = """
SELECT projects_write_tasks(
    %(ids)s::bigint[], %(labels)s::smallint[], %(runners_up)s::smallint[], %(confidences)s::float8[],
    %(reasons)s::text[], %(priorities)s::smallint[], %(posteriors)s::jsonb, %(run)s::bigint
)
"""
