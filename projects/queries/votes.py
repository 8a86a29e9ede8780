"""Votes in."""

# Before anybody votes or leases as these annotators: every other request of theirs that does waits. In one order, so
# that no two wait for each other.
LOCK_ANNOTATORS = """
SELECT pg_advisory_xact_lock(id) FROM (SELECT DISTINCT unnest(%(annotators)s::bigint[]) AS id ORDER BY id) AS each
"""
LOCK_ANNOTATOR = "SELECT pg_advisory_xact_lock(%(annotator)s)"

# Store votes of one project: close those assignments that are still their annotator's, open, in time and in a running
# project, if the annotator is not blocked; insert their votes, write what they cost to the ledger, move their tasks'
# counts from leases to votes, append the events. For each assignment all of it or (no row) nothing. The tasks are
# locked by id, as the sweeper does; the annotators are locked already. The members' rows are held until the end, so
# that a block has seen every vote before it and lets none pass after it.
# "annotator_id + 0": the index of what an annotator holds is full of what they held.
STORE_VOTES = """
WITH given AS (
    SELECT * FROM unnest(
        %(assignments)s::uuid[], %(annotators)s::bigint[], %(labels)s::smallint[], %(seconds)s::float8[]
    ) WITH ORDINALITY AS v(assignment, annotator, label, seconds, place)
), allowed AS MATERIALIZED (
    SELECT m.id FROM projects_member m JOIN projects_project p ON p.id = m.project_id
    WHERE m.id = ANY(%(annotators)s::bigint[]) AND m.standing <> 'blocked' AND p.status = 'active'
    ORDER BY m.id FOR KEY SHARE OF m
), closed AS (
    UPDATE projects_assignment a SET status = 'voted', closed_at = now()
    FROM given JOIN allowed ON allowed.id = given.annotator
    WHERE a.id = given.assignment AND a.annotator_id + 0 = given.annotator AND a.status = 'open'
      AND a.expires_at > now()
    RETURNING a.id, a.task_id, a.project_id, a.annotator_id, a.price, given.place, given.label, given.seconds
), stored AS (
    INSERT INTO projects_vote
        (project_id, task_id, annotator_id, assignment_id, answer, label, status, seconds, created_at)
    SELECT project_id, task_id, annotator_id, id, %(answers)s::jsonb -> (place - 1)::integer, label, 'counted', seconds,
           now()
    FROM closed
    RETURNING id, assignment_id
), paid AS (
    INSERT INTO projects_payment (project_id, annotator_id, vote_id, amount, created_at)
    SELECT closed.project_id, closed.annotator_id, stored.id, closed.price, now()
    FROM closed JOIN stored ON stored.assignment_id = closed.id WHERE closed.price > 0
), noted AS (
    INSERT INTO projects_event (project_id, kind, task, created_at)
    SELECT project_id, 'vote', task_id, now() FROM closed
), locked AS (
    SELECT task_id FROM projects_taskstate WHERE task_id IN (SELECT task_id FROM closed) ORDER BY task_id FOR UPDATE
), counted AS (
    UPDATE projects_taskstate s SET votes = s.votes + n, leases = s.leases - n, version = s.version + 1
    FROM locked JOIN (SELECT task_id, count(*) AS n FROM closed GROUP BY task_id) AS new USING (task_id)
    WHERE s.task_id = locked.task_id
    RETURNING s.task_id
)
SELECT closed.id, closed.annotator_id, closed.task_id FROM closed JOIN counted USING (task_id)
"""

# A late vote, three statements in one transaction, of which LOCK_ANNOTATOR is the first; then end the lease if no
# sweeper has, so that what follows does not depend on when it comes.
END_LEASE = """
WITH closed AS (
    UPDATE projects_assignment SET status = 'expired', closed_at = now()
    WHERE id = %(assignment)s AND annotator_id = %(annotator)s AND status = 'open' AND expires_at <= now()
    RETURNING task_id
)
UPDATE projects_taskstate s SET leases = s.leases - 1
FROM closed WHERE s.task_id = closed.task_id
"""

# Store a vote whose lease has ended: counted if the task goes on, has a place that is nobody's, and this annotator has
# had it in no other assignment, and neither money nor quota is lacking; else uncounted. Where gold is injected none
# counts: gold has places when other tasks have none, so an answer would tell. All of it or (no row) nothing.
STORE_LATE_VOTE = """
WITH allowed AS MATERIALIZED (
    SELECT id FROM projects_member WHERE id = %(annotator)s AND standing <> 'blocked' FOR KEY SHARE
), late AS (
    SELECT a.id, a.task_id, a.project_id, a.annotator_id, a.price, p.gold_share,
           (SELECT 1 FROM projects_assignment o
            WHERE o.task_id = a.task_id AND o.annotator_id + 0 = a.annotator_id
              AND o.status NOT IN ('expired', 'released')) IS NULL AS only_one
    FROM projects_assignment a
    JOIN projects_project p ON p.id = a.project_id
    JOIN allowed ON allowed.id = a.annotator_id
    WHERE a.id = %(assignment)s AND a.status = 'expired' AND p.status = 'active'
      AND (SELECT 1 FROM projects_vote v WHERE v.assignment_id = a.id) IS NULL
    FOR UPDATE OF a
), room AS (
    SELECT s.task_id FROM projects_taskstate s
    JOIN late ON s.task_id = late.task_id
    WHERE late.only_one AND late.gold_share IS NULL AND s.retired IS NULL AND s.votes + s.leases < s.redundancy
    FOR UPDATE OF s
), placed AS (
    UPDATE projects_taskstate s SET votes = s.votes + 1, version = s.version + 1
    FROM room
    WHERE s.task_id = room.task_id AND %(lacks)s::text IS NULL
    RETURNING s.task_id
), closed AS (
    UPDATE projects_assignment a SET status = 'voted', closed_at = now()
    FROM late WHERE a.id = late.id AND late.only_one
), stored AS (
    INSERT INTO projects_vote
        (project_id, task_id, annotator_id, assignment_id, answer, label, status, uncounted_for, seconds, created_at)
    SELECT late.project_id, late.task_id, late.annotator_id, late.id, %(answer)s, %(label)s,
           CASE WHEN placed.task_id IS NULL THEN 'uncounted' ELSE 'counted' END,
           CASE WHEN room.task_id IS NULL THEN 'room' ELSE %(lacks)s END, %(seconds)s, now()
    FROM late LEFT JOIN room ON true LEFT JOIN placed ON true
    RETURNING id, uncounted_for
), paid AS (
    INSERT INTO projects_payment (project_id, annotator_id, vote_id, amount, created_at)
    SELECT late.project_id, late.annotator_id, stored.id, late.price, now()
    FROM late CROSS JOIN stored WHERE stored.uncounted_for IS NULL AND late.price > 0
), noted AS (
    INSERT INTO projects_event (project_id, kind, task, created_at)
    SELECT late.project_id, 'vote', late.task_id, now() FROM late JOIN placed ON true
)
SELECT late.task_id, stored.uncounted_for FROM late CROSS JOIN stored
"""
