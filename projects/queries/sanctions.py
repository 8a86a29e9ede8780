"""What becomes of annotators and their votes by sanctions."""

# The standing that the sanctions in force make. The member is locked.
STAND = """
WITH in_force AS (
    SELECT s.action, s.until FROM projects_sanction s
    WHERE s.annotator_id = %(annotator)s AND s.lifts_id IS NULL AND (s.until IS NULL OR s.until > now())
      AND NOT EXISTS (SELECT FROM projects_sanction l WHERE l.lifts_id = s.id)
), strongest AS (
    SELECT CASE WHEN bool_or(action IN ('block', 'discard')) THEN 'blocked' WHEN bool_or(action = 'pause') THEN 'paused'
                WHEN bool_or(action = 'warn') THEN 'warned' ELSE 'active' END AS standing,
           CASE WHEN bool_or(action = 'pause' AND until IS NULL) IS NOT TRUE
                THEN max(until) FILTER (WHERE action = 'pause') END AS paused_until
    FROM in_force
)
UPDATE projects_member m SET standing = strongest.standing, paused_until = strongest.paused_until
FROM strongest WHERE m.id = %(annotator)s
"""

# Pauses that are over, by the database's clock. Index member_paused.
PAUSES_OVER = "SELECT id FROM projects_member WHERE standing = 'paused' AND paused_until <= now()"

# What a blocked annotator holds goes back, a bounded number at a time; the trigger assignment_unspent sees to money.
TAKE_LEASES = """
WITH mine AS (
    SELECT id FROM projects_assignment WHERE annotator_id = %(annotator)s AND status = 'open'
    LIMIT %(limit)s FOR UPDATE
), closed AS (
    UPDATE projects_assignment a SET status = 'released', closed_at = now() FROM mine WHERE a.id = mine.id
    RETURNING a.task_id
), locked AS (
    SELECT task_id FROM projects_taskstate WHERE task_id IN (SELECT task_id FROM closed) ORDER BY task_id FOR UPDATE
), counted AS (
    UPDATE projects_taskstate s SET leases = s.leases - (SELECT count(*) FROM closed c WHERE c.task_id = s.task_id)
    FROM locked WHERE s.task_id = locked.task_id
)
SELECT count(*) FROM closed
"""

# Votes of an annotator change sides, a bounded number of tasks at a time, in task order. Index vote_of_annotator.
_CHANGE = """
WITH mine AS (
    SELECT task_id FROM projects_vote WHERE annotator_id = %(annotator)s AND {which} ORDER BY task_id LIMIT %(limit)s
), locked AS MATERIALIZED (
    SELECT task_id FROM projects_taskstate WHERE task_id IN (SELECT task_id FROM mine) ORDER BY task_id FOR UPDATE
), changed AS (
    UPDATE projects_vote v SET {vote}
    FROM locked WHERE v.task_id = locked.task_id AND v.annotator_id = %(annotator)s AND {which}
    RETURNING v.task_id
), counted AS (
    UPDATE projects_taskstate s SET {state}, version = s.version + 1
    FROM changed WHERE s.task_id = changed.task_id
)
SELECT task_id FROM changed ORDER BY task_id
"""
DISCARD = _CHANGE.format(
    which="status = 'counted'",
    vote="status = 'discarded', discarded_by_id = %(sanction)s",
    state="votes = s.votes - 1",
)
# Back again: a place that was given to somebody else meanwhile is made anew.
RESTORE = _CHANGE.format(
    which="status = 'discarded' AND discarded_by_id = %(sanction)s",
    vote="status = 'counted', discarded_by_id = NULL",
    state="votes = s.votes + 1, redundancy = greatest(s.redundancy, s.votes + s.leases + 1)",
)
