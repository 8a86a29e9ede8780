"""Training and tests: tasks whose gold has the origin "qualification"."""

# Store answers, as STORE_VOTES does, to those of these assignments whose tasks are for qualification: they are never
# counted, paid or fitted, and their tasks' places are given back. Was each right, and what is? The member's row is
# locked as ADVANCE, which follows, needs it: a block waits for both or comes before.
STORE_ANSWERS = """
WITH given AS (
    SELECT * FROM jsonb_to_recordset(%(votes)s::jsonb)
        AS v(assignment uuid, answer jsonb, label smallint, seconds float8)
), allowed AS MATERIALIZED (
    SELECT id FROM projects_member WHERE id = %(annotator)s AND standing <> 'blocked' FOR NO KEY UPDATE
), closed AS (
    UPDATE projects_assignment a SET status = 'voted', closed_at = now()
    FROM projects_project p, projects_gold g, allowed
    WHERE a.id = ANY(%(assignments)s::uuid[]) AND a.annotator_id = allowed.id AND a.status = 'open'
      AND a.expires_at > now() AND p.id = a.project_id AND p.status = 'active'
      AND g.task_id = a.task_id AND g.origin = 'qualification'
    RETURNING a.id, a.task_id, a.project_id, a.annotator_id, g.label AS gold
), stored AS (
    INSERT INTO projects_vote
        (project_id, task_id, annotator_id, assignment_id, answer, label, status, mode, seconds, created_at)
    SELECT closed.project_id, closed.task_id, closed.annotator_id, closed.id, given.answer, given.label, 'uncounted',
           'qualification', given.seconds, now()
    FROM closed JOIN given ON given.assignment = closed.id
    RETURNING assignment_id, label
), locked AS (
    SELECT task_id FROM projects_taskstate WHERE task_id IN (SELECT task_id FROM closed) ORDER BY task_id FOR UPDATE
), freed AS (
    UPDATE projects_taskstate s SET leases = s.leases - 1 FROM locked WHERE s.task_id = locked.task_id
)
SELECT closed.id, stored.label = closed.gold, closed.gold FROM closed JOIN stored ON stored.assignment_id = closed.id
"""

# So many answers more, so many of them right: what has become of the annotator, by the project's settings of this
# moment. The annotator is locked. The stage before comes first; no row: there is nothing to qualify for any more.
ADVANCE = """
WITH now AS (
    SELECT m.id, coalesce(m.stage, 'training') AS stage, m.tests, m.stage_answers + %(answers)s::int AS answers,
           m.stage_right + %(correct)s::int AS correct, p.training_tasks, p.test_tasks, p.pass_mark, p.test_attempts
    FROM projects_member m JOIN projects_project p ON p.id = m.project_id
    WHERE m.id = %(annotator)s AND (m.stage IS NULL OR m.stage IN ('training', 'test'))
    FOR UPDATE OF m
), next AS (
    SELECT *, CASE
        WHEN answers < CASE stage WHEN 'training' THEN training_tasks ELSE test_tasks END THEN stage
        WHEN stage = 'training' AND test_tasks > 0 THEN 'test'
        WHEN stage = 'training' OR correct + 1e-9 >= pass_mark * answers THEN 'qualified'
        WHEN tests < test_attempts THEN 'test'
        ELSE 'failed'
    END AS stage_now,
    answers >= CASE stage WHEN 'training' THEN training_tasks ELSE test_tasks END AS ended
    FROM now
)
UPDATE projects_member m
SET stage = next.stage_now,
    stage_answers = CASE WHEN ended AND stage_now = 'test' THEN 0 ELSE answers END,
    stage_right = CASE WHEN ended AND stage_now = 'test' THEN 0 ELSE correct END,
    tests = next.tests + (ended AND stage_now = 'test')::int
FROM next WHERE m.id = next.id
RETURNING next.stage, m.stage, m.stage_answers, m.stage_right, m.tests
"""

# A manager puts somebody into a stage, from its beginning; what they hold for the one before is taken back.
SET_STAGE = """
WITH closed AS (
    UPDATE projects_assignment a SET status = 'released', closed_at = now()
    FROM projects_gold g
    WHERE a.annotator_id = %(annotator)s AND a.status = 'open' AND g.task_id = a.task_id AND g.origin = 'qualification'
    RETURNING a.task_id
), locked AS (
    SELECT task_id FROM projects_taskstate WHERE task_id IN (SELECT task_id FROM closed) ORDER BY task_id FOR UPDATE
), freed AS (
    UPDATE projects_taskstate s SET leases = s.leases - 1 FROM locked WHERE s.task_id = locked.task_id
)
UPDATE projects_member
SET stage = %(stage)s::text, stage_answers = 0, stage_right = 0, tests = (%(stage)s::text = 'test')::int
WHERE id = %(annotator)s
RETURNING id
"""

# Tasks for training and tests. Index queue_next.
QUALIFICATION_TASKS = """
SELECT count(*) FROM projects_taskqueue WHERE project_id = %(project)s AND pool = %(pool)s AND open
"""
