"""Named SQL: each statement says what it does, who runs it, and which index it stands on."""

import json
from typing import Any

import psycopg
from django.db import connection


def fetch(sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
    """Run one of these statements on the present connection: its rows, or none if it returns nothing.

    Parameters are bound by the server, so that a statement with any is planned once for many runs on one connection
    (setting ``prepare_threshold``); Django's own cursors write them into the text, which is planned anew each time.
    """
    with connection.cursor() as opened:  # what Django checks of a connection before it is used
        cursor = psycopg.Cursor(opened.connection)
        with connection.wrap_database_errors, cursor:
            cursor.execute(sql, parameters, prepare=None if parameters else False)
            return cursor.fetchall() if cursor.description else []


def from_json(value: Any) -> Any:
    """A jsonb column as raw SQL gives it: Django leaves it as text."""
    return json.loads(value) if isinstance(value, str) else value


# Lease: what the annotator holds and, up to "count", new assignments of the highest-priority open tasks that have room
# and that this annotator has not had.
# Tasks that nobody is answering right now come first: an answer on its way will lower a task's priority, so handing the
# same task to everybody who asks in the meantime would spend votes on what is about to be known.
# Scans index queue_next in its own order; the assignment look-up stands on assignment_once_per_annotator.
# - projects_held (a function of the database) lets one request of an annotator lease at a time: "count" is a bound of
#   what a person holds, whatever is asked at once.
# - SKIP LOCKED: annotators asking at once take different tasks instead of waiting for each other.
# - After the lock PostgreSQL checks the row's newest version again, so "has room" and "not retired" are true of what is
#   locked (the queue's own row is not locked: its "open" may be a moment old); the check constraint
#   task_redundancy_not_exceeded stands behind it.
# - "(SELECT 1 …) IS NULL" and not "NOT EXISTS": the planner turns the latter into a join over the whole table.
# - LIMIT 1000, the most that a project allows: tells the planner that few are wanted, which "so many as are missing"
#   does not. Rows are locked one by one as they are taken.
# - ON CONFLICT: a task that this annotator was given since the statement began is not given again.
_CANDIDATES = """
    SELECT task_id FROM (
        SELECT s.task_id
        FROM projects_taskqueue q
        JOIN projects_taskstate s ON s.task_id = q.task_id
        WHERE q.project_id = %(project)s AND q.open AND {which} AND s.votes + s.leases < s.redundancy
          AND s.retired IS NULL
          AND (SELECT 1 FROM projects_assignment a
               WHERE a.task_id = q.task_id AND a.annotator_id = %(annotator)s
                 AND a.status NOT IN ('expired', 'released')) IS NULL
        ORDER BY q.priority DESC, q.task_id
        LIMIT 1000
        FOR UPDATE OF s SKIP LOCKED
    ) few
    LIMIT greatest(0, {missing})
"""
LEASE = f"""
WITH held AS MATERIALIZED (
    SELECT id, task_id, leased_at, expires_at FROM projects_held(%(annotator)s)
), idle AS ({_CANDIDATES.format(which="s.leases = 0", missing="%(count)s - (SELECT count(*) FROM held)")}
), busy AS ({
    _CANDIDATES.format(
        which="s.leases > 0",
        missing="%(count)s - (SELECT count(*) FROM held) - (SELECT count(*) FROM idle)",
    )
}
), candidate AS (
    SELECT task_id FROM idle UNION ALL SELECT task_id FROM busy
), leased AS (
    INSERT INTO projects_assignment (id, project_id, task_id, annotator_id, status, leased_at, expires_at)
    SELECT gen_random_uuid(), %(project)s, task_id, %(annotator)s, 'open', now(), now() + %(lease)s
    FROM candidate
    ON CONFLICT DO NOTHING
    RETURNING id, task_id, expires_at
), counted AS (
    UPDATE projects_taskstate s SET leases = s.leases + 1
    FROM leased WHERE s.task_id = leased.task_id
    RETURNING s.task_id
), given AS (
    SELECT id, task_id, expires_at, leased_at, 0 AS priority FROM held
    UNION ALL
    SELECT leased.id, leased.task_id, leased.expires_at, NULL, q.priority
    FROM leased
    JOIN counted ON counted.task_id = leased.task_id
    JOIN projects_taskqueue q ON q.task_id = leased.task_id
)
SELECT given.id, t.data, given.expires_at
FROM given JOIN projects_task t ON t.id = given.task_id
ORDER BY given.leased_at NULLS LAST, given.priority DESC, given.task_id
LIMIT %(count)s
"""

# Why a lease found nothing: is there an open task this annotator has not answered, with room (true: locked just now),
# or at least without (false: leased by others)? Null: nothing is left for this person. Stops at the first such task.
LEFT_OVER = """
WITH unseen AS NOT MATERIALIZED (
    SELECT s.votes + s.leases < s.redundancy AS has_room
    FROM projects_taskqueue q
    JOIN projects_taskstate s ON s.task_id = q.task_id
    WHERE q.project_id = %(project)s AND q.open
      AND (SELECT 1 FROM projects_assignment a
           WHERE a.task_id = q.task_id AND a.annotator_id = %(annotator)s
             AND a.status IN ('voted', 'skipped')) IS NULL
)
SELECT CASE WHEN EXISTS (SELECT 1 FROM unseen WHERE has_room) THEN true
            WHEN EXISTS (SELECT 1 FROM unseen) THEN false END
"""

# Store a vote: close the assignment if it is still this annotator's, open, in time and in a running project; insert
# the vote, move the task's count from leases to votes, append the event. All of it or (no row) nothing.
STORE_VOTE = """
WITH closed AS (
    UPDATE projects_assignment a SET status = 'voted', closed_at = now()
    FROM projects_project p
    WHERE a.id = %(assignment)s AND a.annotator_id = %(annotator)s AND a.status = 'open' AND a.expires_at > now()
      AND p.id = a.project_id AND p.status = 'active'
    RETURNING a.id, a.task_id, a.project_id, a.annotator_id
), stored AS (
    INSERT INTO projects_vote
        (project_id, task_id, annotator_id, assignment_id, answer, label, status, seconds, created_at)
    SELECT project_id, task_id, annotator_id, id, %(answer)s, %(label)s, 'counted', %(seconds)s, now() FROM closed
), noted AS (
    INSERT INTO projects_event (project_id, kind, task, created_at)
    SELECT project_id, 'vote', task_id, now() FROM closed
)
UPDATE projects_taskstate s SET votes = s.votes + 1, leases = s.leases - 1, version = s.version + 1
FROM closed WHERE s.task_id = closed.task_id
RETURNING s.task_id, true
"""

# A late vote, three statements in one transaction. First keep every other request of this annotator out that could
# lease or vote late; then end the lease if no sweeper has, so that what follows does not depend on when it comes.
LOCK_ANNOTATOR = "SELECT pg_advisory_xact_lock(%(annotator)s)"
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
# had it in no other assignment; else uncounted. All of it or (no row) nothing.
STORE_LATE_VOTE = """
WITH late AS (
    SELECT a.id, a.task_id, a.project_id, a.annotator_id,
           (SELECT 1 FROM projects_assignment o
            WHERE o.task_id = a.task_id AND o.annotator_id = a.annotator_id
              AND o.status NOT IN ('expired', 'released')) IS NULL AS only_one
    FROM projects_assignment a
    JOIN projects_project p ON p.id = a.project_id
    WHERE a.id = %(assignment)s AND a.annotator_id = %(annotator)s AND a.status = 'expired' AND p.status = 'active'
      AND (SELECT 1 FROM projects_vote v WHERE v.assignment_id = a.id) IS NULL
    FOR UPDATE OF a
), placed AS (
    UPDATE projects_taskstate s SET votes = s.votes + 1, version = s.version + 1
    FROM late
    WHERE s.task_id = late.task_id AND late.only_one AND s.retired IS NULL AND s.votes + s.leases < s.redundancy
    RETURNING s.task_id
), closed AS (
    UPDATE projects_assignment a SET status = 'voted', closed_at = now()
    FROM late WHERE a.id = late.id AND late.only_one
), stored AS (
    INSERT INTO projects_vote
        (project_id, task_id, annotator_id, assignment_id, answer, label, status, seconds, created_at)
    SELECT late.project_id, late.task_id, late.annotator_id, late.id, %(answer)s, %(label)s,
           CASE WHEN placed.task_id IS NULL THEN 'uncounted' ELSE 'counted' END, %(seconds)s, now()
    FROM late LEFT JOIN placed ON true
), noted AS (
    INSERT INTO projects_event (project_id, kind, task, created_at)
    SELECT late.project_id, 'vote', late.task_id, now() FROM late JOIN placed ON true
)
SELECT late.task_id, placed.task_id IS NOT NULL FROM late LEFT JOIN placed ON true
"""

# Renew: the project's time for an answer begins anew, while it is not over.
RENEW = """
UPDATE projects_assignment a SET expires_at = now() + make_interval(secs => p.lease_seconds)
FROM projects_project p
WHERE a.id = %(assignment)s AND a.annotator_id = %(annotator)s AND a.status = 'open' AND a.expires_at > now()
  AND p.id = a.project_id
RETURNING a.expires_at
"""

# Give a task back, skipped or released: close the assignment, give its place back.
GIVE_BACK = """
WITH closed AS (
    UPDATE projects_assignment
    SET status = %(status)s, closed_at = now(), skip_reason = %(reason)s, skip_comment = %(comment)s
    WHERE id = %(assignment)s AND annotator_id = %(annotator)s AND status = 'open' AND expires_at > now()
    RETURNING task_id
)
UPDATE projects_taskstate s SET leases = s.leases - 1
FROM closed WHERE s.task_id = closed.task_id
RETURNING s.task_id
"""

# Flag a task that enough annotators have skipped as broken or unclear. A statement of its own, after the skip has
# locked the task: it sees all other skips. Index assignment_once_per_annotator, by which each is another annotator's.
FLAG = """
WITH flagged AS (
    UPDATE projects_taskstate s SET retired = 'flagged'
    FROM projects_project p
    WHERE s.task_id = %(task)s AND s.retired IS NULL AND p.id = s.project_id
      AND (SELECT count(*) FROM projects_assignment a
           WHERE a.task_id = s.task_id AND a.status = 'skipped' AND a.skip_reason IN ('broken', 'unclear')
          ) >= p.max_skips
    RETURNING s.task_id, s.project_id
), noted AS (
    INSERT INTO projects_event (project_id, kind, task, created_at)
    SELECT project_id, 'flag', task_id, now() FROM flagged
)
UPDATE projects_taskqueue q SET open = false
FROM flagged WHERE q.task_id = flagged.task_id
RETURNING q.task_id
"""

# The project allows another number of skips: tasks with as many are flagged at once, flagged ones with fewer go on.
CHANGE_MAX_SKIPS = """
WITH skipped AS (
    SELECT a.task_id, count(*) AS n
    FROM projects_task t JOIN projects_assignment a ON a.task_id = t.id
    WHERE t.project_id = %(project)s AND a.status = 'skipped' AND a.skip_reason IN ('broken', 'unclear')
    GROUP BY a.task_id
), changed AS (
    UPDATE projects_taskstate s
    SET retired = CASE WHEN s.retired IS NULL THEN 'flagged' WHEN s.votes >= s.redundancy THEN 'redundancy' END
    FROM skipped
    WHERE s.task_id = skipped.task_id
      AND (s.retired IS NULL AND skipped.n >= %(max_skips)s::int
           OR s.retired = 'flagged' AND (skipped.n >= %(max_skips)s::int) IS NOT TRUE)
    RETURNING s.task_id, s.retired
)
UPDATE projects_taskqueue q SET open = changed.retired IS NULL
FROM changed WHERE q.task_id = changed.task_id
"""

# Expire: end due leases and give their places back, a bounded number at a time. Index assignment_due.
# Locks in the vote's own order (assignments, then tasks by id), so that nothing can deadlock with it.
EXPIRE = """
WITH due AS (
    SELECT id FROM projects_assignment
    WHERE status = 'open' AND expires_at <= now()
    ORDER BY expires_at LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), closed AS (
    UPDATE projects_assignment a SET status = 'expired', closed_at = now()
    FROM due WHERE a.id = due.id
    RETURNING a.task_id
), locked AS (
    SELECT task_id FROM projects_taskstate WHERE task_id IN (SELECT task_id FROM closed) ORDER BY task_id FOR UPDATE
), counted AS (
    UPDATE projects_taskstate s SET leases = s.leases - (SELECT count(*) FROM closed c WHERE c.task_id = s.task_id)
    FROM locked WHERE s.task_id = locked.task_id
)
SELECT count(*) FROM closed
"""

# What a set of tasks' posteriors are made of, read under the tasks' locks. Indexes: primary keys.
TASKS_TO_RECOMPUTE = """
SELECT s.task_id, s.votes, s.redundancy, s.retired IS NOT DISTINCT FROM 'flagged', g.label, p.posterior
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
    UPDATE projects_taskqueue q SET open = new.retired IS NULL, priority = new.priority
    FROM new
    WHERE q.task_id = new.task_id
      AND (q.open, q.priority) IS DISTINCT FROM (new.retired IS NULL, new.priority)
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

# Before all tasks of a project change: a statement of its own, so that the next one's snapshot has what was waited for
# (also of the queue's rows, which are not locked). In task order, so that it can't deadlock with the sweeper.
LOCK_STATES = """
SELECT count(*) FROM (
    SELECT 1 FROM projects_taskstate
    WHERE task_id IN (SELECT id FROM projects_task WHERE project_id = %(project)s)
    ORDER BY task_id FOR UPDATE
) locked
"""

# Every task wants a new number of votes, at once. The tasks are locked.
CHANGE_REDUNDANCY = """
WITH changed AS (
    UPDATE projects_taskstate s
    SET redundancy = greatest(%(redundancy)s, s.votes + s.leases),
        retired = CASE WHEN s.retired = 'flagged' THEN 'flagged'
                       WHEN s.votes >= greatest(%(redundancy)s, s.votes + s.leases) THEN 'redundancy'
                       WHEN s.retired = 'redundancy' THEN NULL ELSE s.retired END
    FROM projects_task t
    WHERE t.project_id = %(project)s AND s.task_id = t.id AND s.own_redundancy IS NULL
    RETURNING s.task_id, s.retired
)
UPDATE projects_taskqueue q SET open = changed.retired IS NULL
FROM changed WHERE q.task_id = changed.task_id AND q.open IS DISTINCT FROM (changed.retired IS NULL)
"""

# A learner is gone: so are its predictions, and what they made of tasks without votes. The tasks are locked.
FORGET_PREDICTIONS = """
WITH gone AS (
    DELETE FROM projects_prediction p USING projects_task t
    WHERE t.project_id = %(project)s AND p.task_id = t.id RETURNING p.task_id
), unknown AS (
    UPDATE projects_taskstate s SET label = NULL, runner_up = NULL, confidence = NULL
    FROM gone WHERE s.task_id = gone.task_id AND s.votes = 0
    RETURNING s.task_id
)
UPDATE projects_taskqueue q SET priority = 1000 FROM unknown WHERE q.task_id = unknown.task_id
"""

# --- Uploads: checked lines lie in a temporary table, are checked against the project, and merged ---

UPLOAD_TABLE = """
CREATE TEMPORARY TABLE upload (
    line integer NOT NULL, key text, data jsonb NOT NULL, gold smallint, redundancy integer,
    task_id bigint DEFAULT nextval(pg_get_serial_sequence('projects_task', 'id')), known boolean NOT NULL DEFAULT false
) ON COMMIT DROP
"""

# Lines whose key the project has already. Constraint task_key_once_per_project.
UPLOAD_KNOWN = """
UPDATE upload u SET known = true, task_id = t.id
FROM projects_task t WHERE t.project_id = %(project)s AND t.key = u.key
"""

# A known key must come with the same data and must not contradict its gold.
UPLOAD_CONFLICTS = """
SELECT u.line, t.data IS DISTINCT FROM u.data
FROM upload u
JOIN projects_task t ON t.id = u.task_id
LEFT JOIN projects_gold g ON g.task_id = t.id
WHERE u.known AND (t.data IS DISTINCT FROM u.data OR (g.label <> u.gold))
ORDER BY u.line LIMIT 100
"""

UPLOAD_TASKS = """
INSERT INTO projects_task (id, project_id, key, data, created_at)
SELECT task_id, %(project)s, key, data, now() FROM upload WHERE NOT known ORDER BY line
"""

UPLOAD_STATES = """
INSERT INTO projects_taskstate (task_id, project_id, votes, leases, redundancy, own_redundancy, version, retired)
SELECT task_id, %(project)s, 0, 0, coalesce(redundancy, %(redundancy)s), redundancy, 0,
       CASE WHEN redundancy = 0 THEN 'redundancy' END
FROM upload WHERE NOT known ORDER BY line
"""

UPLOAD_QUEUE = """
INSERT INTO projects_taskqueue (task_id, project_id, open, priority)
SELECT task_id, %(project)s, redundancy IS DISTINCT FROM 0, 1000 FROM upload WHERE NOT known ORDER BY line
"""

UPLOAD_GOLD = """
WITH added AS (
    INSERT INTO projects_gold (task_id, project_id, label, origin, created_at)
    SELECT task_id, %(project)s, gold, 'uploaded', now() FROM upload WHERE gold IS NOT NULL ORDER BY line
    ON CONFLICT (task_id) DO NOTHING
    RETURNING task_id
), locked AS (
    SELECT task_id FROM projects_taskstate WHERE task_id IN (SELECT task_id FROM added) ORDER BY task_id FOR UPDATE
), changed AS (
    UPDATE projects_taskstate s SET version = s.version + 1 FROM locked WHERE s.task_id = locked.task_id
)
SELECT count(*) FROM added
"""

# --- Import of recorded votes ---

IMPORT_TABLE = """
CREATE TEMPORARY TABLE imported (
    line integer NOT NULL, key text NOT NULL, worker text NOT NULL, label smallint NOT NULL,
    task_id bigint, annotator_id bigint
) ON COMMIT DROP
"""

IMPORT_TASKS = """
UPDATE imported i SET task_id = t.id FROM projects_task t WHERE t.project_id = %(project)s AND t.key = i.key
"""

IMPORT_UNKNOWN_TASKS = "SELECT line, key FROM imported WHERE task_id IS NULL ORDER BY line LIMIT 100"

# Annotators of recorded votes: members without a user. Constraint member_imported_name_once.
IMPORT_ANNOTATORS = """
WITH added AS (
    INSERT INTO projects_member (project_id, user_id, name, role, created_at)
    SELECT %(project)s, NULL, worker, 'annotator', now() FROM imported GROUP BY worker ORDER BY min(line)
    ON CONFLICT DO NOTHING
    RETURNING id
)
SELECT count(*) FROM added
"""

IMPORT_ANNOTATOR_IDS = """
UPDATE imported i SET annotator_id = m.id
FROM projects_member m WHERE m.project_id = %(project)s AND m.user_id IS NULL AND m.name = i.worker
"""

# Recorded votes become counted votes. Of a repeated (task, worker) the first stays: the stored, or the file's first.
IMPORT_VOTES = """
WITH locked AS (
    SELECT task_id FROM projects_taskstate WHERE task_id IN (SELECT task_id FROM imported) ORDER BY task_id FOR UPDATE
), first AS (
    SELECT DISTINCT ON (task_id, annotator_id) line, task_id, annotator_id, label
    FROM imported ORDER BY task_id, annotator_id, line
), stored AS (
    INSERT INTO projects_vote (project_id, task_id, annotator_id, answer, label, status, created_at)
    SELECT %(project)s, f.task_id, f.annotator_id,
           jsonb_build_object('label', (%(labels)s::text[])[f.label + 1]), f.label, 'counted', now()
    FROM first f JOIN locked ON locked.task_id = f.task_id ORDER BY f.line
    ON CONFLICT DO NOTHING
    RETURNING task_id
), added AS (
    SELECT task_id, count(*) AS n FROM stored GROUP BY task_id
), counted AS (
    UPDATE projects_taskstate s
    SET votes = s.votes + added.n, version = s.version + 1,
        redundancy = greatest(s.redundancy, s.votes + s.leases + added.n),
        retired = CASE WHEN s.retired IS DISTINCT FROM 'flagged'
                        AND s.votes + added.n >= greatest(s.redundancy, s.votes + s.leases + added.n)
                       THEN 'redundancy' ELSE s.retired END
    FROM added WHERE s.task_id = added.task_id
    RETURNING s.task_id, s.retired
), closed AS (
    UPDATE projects_taskqueue q SET open = false
    FROM counted WHERE q.task_id = counted.task_id AND counted.retired IS NOT NULL AND q.open
)
SELECT count(*) FROM stored
"""

# --- Idempotency keys ---

# Claim a key: insert it, or take over one that is too old to be answered again or whose work was killed. No row:
# somebody has it. Constraint idempotency_key_once.
CLAIM_KEY = """
INSERT INTO projects_idempotencykey AS k (user_id, path, key, digest, claimed_at)
VALUES (%(user)s, %(path)s, %(key)s, %(digest)s, clock_timestamp())
ON CONFLICT (user_id, path, key) DO UPDATE
SET digest = EXCLUDED.digest, claimed_at = EXCLUDED.claimed_at, status = NULL, body = NULL
WHERE k.claimed_at < now() - %(kept)s
   OR k.status IS NULL AND k.digest = EXCLUDED.digest AND k.claimed_at < now() - %(abandoned_after)s
RETURNING id
"""

# Forget old keys, a bounded number at a time. Index idempotency_key_old.
FORGET_KEYS = """
WITH old AS (
    SELECT id FROM projects_idempotencykey WHERE claimed_at < now() - %(kept)s
    ORDER BY claimed_at LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM projects_idempotencykey k USING old WHERE k.id = old.id RETURNING k.id
)
SELECT count(*) FROM gone
"""
