"""Assignments out and back."""

# Lease: what the annotator holds and, up to "count", new assignments of the open tasks of a pool that come first, have
# room, and that this annotator has not had. Tried in this order, each only when the one before gave too few:
# - LEASE looks at the first tasks of the queue alone, so that its cost is the same for any number of tasks, and for
#   somebody who has had a hundred thousand of them;
# - LEASE_BEYOND goes on where it stopped the last time for this annotator (projects_cursor), for some minutes. What
#   comes to lie behind that place meanwhile waits until it is forgotten, or rises to the first tasks;
# - LEASE_ANYWHERE looks at all open tasks.
# Tasks that nobody is answering right now come first: an answer on its way will lower a task's priority, so handing the
# same task to everybody who asks in the meantime would spend votes on what is about to be known. Not so in an order
# that finishes tasks one after the other (IN_TURN).
# Scans index queue_next in its own order; the assignment look-up stands on assignment_once_per_annotator.
# - projects_held (a function of the database) lets one request of an annotator lease at a time: "count" is a bound of
#   what a person holds, whatever is asked at once.
# - SKIP LOCKED: annotators asking at once take different tasks instead of waiting for each other.
# - After the lock PostgreSQL checks the row's newest version again, so "has room" and "not retired" are true of what is
#   locked (the queue's own row is not locked: its "open" may be a moment old); the check constraint
#   task_redundancy_not_exceeded stands behind it.
# - "annotator_id + 0": what is planned while there are few assignments would as soon look through all that this
#   annotator has had (index assignment_of_annotator).
# - "(SELECT 1 …) IS NULL" and not "NOT EXISTS": the planner turns the latter into a join over the whole table.
# - LIMIT 1000, the most that a project allows: tells the planner that few are wanted, which "so many as are missing"
#   does not. Rows are locked one by one as they are taken.
# - ON CONFLICT: a task that this annotator was given since the statement began is not given again.
QUEUE = """
    SELECT task_id, priority * -1 AS rank FROM projects_taskqueue
    WHERE project_id = %(project)s AND pool = %(pool)s AND open {after}
    ORDER BY priority * -1, task_id {first}
"""
MAY_BE_GIVEN = """
        SELECT s.task_id, q.rank
        FROM ({queue}) q JOIN projects_taskstate s ON s.task_id = q.task_id
        WHERE s.votes + s.leases < s.redundancy AND s.retired IS NULL {idle}
          AND (SELECT 1 FROM projects_assignment a
               WHERE a.task_id = q.task_id AND a.annotator_id + 0 = %(annotator)s
                 AND a.status NOT IN ('expired', 'released')) IS NULL
        ORDER BY q.rank, q.task_id"""
CANDIDATE = f"""
    SELECT task_id, rank FROM ({MAY_BE_GIVEN}
        LIMIT 1000
        FOR UPDATE OF s SKIP LOCKED
    ) few
    LIMIT {{limit}}
"""
LEASE_STATEMENT = """
WITH held AS MATERIALIZED (
    SELECT id, task_id, leased_at, expires_at FROM projects_held(%(annotator)s)
), {candidates}, leased AS (
    INSERT INTO projects_assignment
        (id, project_id, task_id, annotator_id, status, leased_at, expires_at, price{column})
    SELECT gen_random_uuid(), %(project)s, task_id, %(annotator)s, 'open', now(), now() + %(lease)s::interval,
           %(price)s::numeric{value}
    FROM candidate
    ON CONFLICT DO NOTHING
    RETURNING id, task_id, expires_at
), counted AS (
    UPDATE projects_taskstate s SET leases = s.leases + 1
    FROM leased WHERE s.task_id = leased.task_id
    RETURNING s.task_id
{reached}, given AS (
    SELECT id, task_id, expires_at, leased_at, 0 AS rank FROM held
    UNION ALL
    SELECT leased.id, leased.task_id, leased.expires_at, NULL, candidate.rank
    FROM leased JOIN counted USING (task_id) JOIN candidate USING (task_id)
)
SELECT given.id, t.data, given.expires_at
FROM given JOIN projects_task t ON t.id = given.task_id
ORDER BY {order}
LIMIT %(count)s
"""
# Nothing more is noted of ordinary assignments.
PLAIN = {"column": "", "value": ""}
# A row comparison, which the index takes for the beginning of its scan.
_OLD = "now() - interval '10 minutes'"
_CURSOR = f"""
    SELECT {{column}} FROM projects_cursor
    WHERE annotator_id = %(annotator)s AND pool = %(pool)s AND begun_at > {_OLD}
"""
BEYOND = f"""AND (priority * -1, task_id) > (
        coalesce(({_CURSOR.format(column="rank")}), -32768),
        coalesce(({_CURSOR.format(column="task_id")}), 0)
    )"""
REACHED = f"""
), reached AS (
    INSERT INTO projects_cursor AS c (annotator_id, pool, rank, task_id, begun_at)
    SELECT %(annotator)s, %(pool)s, rank, task_id, now() FROM {{of}} ORDER BY rank DESC, task_id DESC LIMIT 1
    ON CONFLICT (annotator_id, pool) DO UPDATE
    SET rank = EXCLUDED.rank, task_id = EXCLUDED.task_id,
        begun_at = CASE WHEN c.begun_at > {_OLD} THEN c.begun_at ELSE EXCLUDED.begun_at END
)"""
FIRST = QUEUE.format(after="", first="LIMIT 200")
IDLE = "AND s.leases = 0"
MISSING = "greatest(0, %(count)s - (SELECT count(*) FROM held))"


def _one_lease(queue: str, idle: str, reached: str = ")") -> str:
    candidates = f"candidate AS ({CANDIDATE.format(queue=queue, idle=idle, limit=MISSING)})"
    order = "given.leased_at NULLS LAST, given.rank, given.task_id"
    return LEASE_STATEMENT.format(candidates=candidates, reached=reached, order=order, **PLAIN)


def _lease(idle: str) -> tuple[str, str, str]:
    return (
        _one_lease(FIRST, idle),
        _one_lease(QUEUE.format(after=BEYOND, first=""), idle, REACHED.format(of="candidate")),
        _one_lease(QUEUE.format(after="", first=""), ""),
    )


LEASE, LEASE_BEYOND, LEASE_ANYWHERE = _lease(IDLE)
LEASE_IN_TURN, LEASE_IN_TURN_BEYOND, _ = _lease("")

# As LEASE, for several annotators of one project at once: each is given other tasks of those that come first. Who has
# had what they would be given gets nothing here.
LEASE_TOGETHER = f"""
WITH held AS MATERIALIZED (
    SELECT w.annotator, h.*
    FROM unnest(%(annotators)s::bigint[]) AS w(annotator) CROSS JOIN LATERAL projects_held(w.annotator) h
), missing AS MATERIALIZED (
    SELECT w.annotator, row_number() OVER () AS n
    FROM unnest(%(annotators)s::bigint[], %(counts)s::integer[]) AS w(annotator, count)
    CROSS JOIN LATERAL generate_series(1, w.count - (SELECT count(*) FROM held h WHERE h.annotator = w.annotator))
), candidate AS MATERIALIZED (
    SELECT task_id, rank, row_number() OVER () AS n
    FROM (
        SELECT s.task_id, q.rank
        FROM ({FIRST}) q JOIN projects_taskstate s ON s.task_id = q.task_id
        WHERE s.votes + s.leases < s.redundancy AND s.retired IS NULL {IDLE}
        ORDER BY q.rank, q.task_id
        LIMIT 1000
        FOR UPDATE OF s SKIP LOCKED
    ) few
    LIMIT (SELECT count(*) FROM missing)
), leased AS (
    INSERT INTO projects_assignment (id, project_id, task_id, annotator_id, status, leased_at, expires_at)
    SELECT gen_random_uuid(), %(project)s, c.task_id, m.annotator, 'open', now(), now() + %(lease)s::interval
    FROM missing m JOIN candidate c USING (n)
    WHERE (SELECT 1 FROM projects_assignment a
           WHERE a.task_id = c.task_id AND a.annotator_id + 0 = m.annotator
             AND a.status NOT IN ('expired', 'released')) IS NULL
    ON CONFLICT DO NOTHING
    RETURNING id, task_id, annotator_id, expires_at
), counted AS (
    UPDATE projects_taskstate s SET leases = s.leases + 1
    FROM leased WHERE s.task_id = leased.task_id
    RETURNING s.task_id
), given AS (
    SELECT annotator, id, task_id, expires_at, leased_at, 0 AS rank FROM held
    UNION ALL
    SELECT leased.annotator_id, leased.id, leased.task_id, leased.expires_at, NULL, candidate.rank
    FROM leased JOIN counted USING (task_id) JOIN candidate USING (task_id)
)
SELECT given.annotator, given.id, t.data, given.expires_at
FROM given JOIN projects_task t ON t.id = given.task_id
ORDER BY given.leased_at NULLS LAST, given.rank, given.task_id
"""

# Why a lease found nothing: is there an open task this annotator has not answered, with room (true: locked just now),
# or at least without (false: leased by others)? Null: nothing is left for this person. Stops at the first such task.
LEFT_OVER = """
WITH unseen AS NOT MATERIALIZED (
    SELECT s.votes + s.leases < s.redundancy AS has_room
    FROM projects_taskqueue q
    JOIN projects_taskstate s ON s.task_id = q.task_id
    WHERE q.project_id = %(project)s AND q.pool = ANY(%(pools)s) AND q.open
      AND (SELECT 1 FROM projects_assignment a
           WHERE a.task_id = q.task_id AND a.annotator_id + 0 = %(annotator)s
             AND a.status IN ('voted', 'skipped')) IS NULL
)
SELECT CASE WHEN EXISTS (SELECT 1 FROM unseen WHERE has_room) THEN true
            WHEN EXISTS (SELECT 1 FROM unseen) THEN false END
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
UPDATE projects_taskqueue q SET open = false, review = true
FROM flagged WHERE q.task_id = flagged.task_id
RETURNING q.task_id
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
