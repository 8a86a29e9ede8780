"""Gold among other tasks."""

from projects.queries.leases import (
    BEYOND,
    CANDIDATE,
    FIRST,
    IDLE,
    LEASE_STATEMENT,
    MISSING,
    PLAIN,
    QUEUE,
    REACHED,
)

# Gold that is injected lies in a pool of its own, beside that of its task: the same name after a character that no name
# of a pool begins with.
MARK = "chr(1)"
# What limits it where no manager does.
UNLIMITED = 1_000_000_000

# Lease with injection: of the ordinary tasks found for new assignments, as LEASE would, some are exchanged for gold.
# "coins" were tossed for 1, 2, … assignments, those held included: its elements are 0 and how many of the first, the
# first two, … are gold. Nothing but the task of an assignment depends on them:
# - both kinds are looked for whatever the coins say, at least one of each, and rows of the same tables are written;
# - where nothing ordinary is found nothing is exchanged: gold comes to nobody who would else be told "finished";
# - the answer is in the order of random ids, and nothing in it is in the order of tasks;
# - who gives a task back, or lets it expire, does not get it again while there are others. It would tell: an ordinary
#   one comes back, as the first of its queue, but other coins are tossed. Index assignment_given_back.
# Gold is drawn from the first 200 of its pool, whatever is leased of it; a vote gives it another place there.
NOT_GIVEN_BACK = """
          AND (SELECT 1 FROM projects_assignment b
               WHERE b.task_id = q.task_id AND b.annotator_id = %(annotator)s AND b.status IN ('expired', 'released')
               LIMIT 1) IS NULL
"""
_GOLD_QUEUE = f"""
    SELECT task_id, trunc(1000000 * random())::int AS rank FROM (
        SELECT task_id FROM projects_taskqueue
        WHERE project_id = %(project)s AND pool = {MARK} || %(pool)s AND open
        ORDER BY priority * -1, task_id LIMIT 200
    ) drawn
    ORDER BY rank, task_id
"""
_GOLD = CANDIDATE.format(queue=_GOLD_QUEUE, idle=NOT_GIVEN_BACK, limit="greatest(1, (SELECT gold FROM coins))")
_INJECTED = f"""
ordinary AS MATERIALIZED ({{candidate}}), coins AS MATERIALIZED (
    SELECT coalesce((%(coins)s::int[])[held.n + ordinary.n + 1] - (%(coins)s::int[])[held.n + 1], 0) AS gold,
           ordinary.n AS found
    FROM (SELECT count(*)::int AS n FROM held) held, (SELECT count(*)::int AS n FROM ordinary) ordinary
), drawn AS MATERIALIZED ({_GOLD}), gold AS MATERIALIZED (
    SELECT task_id, rank FROM drawn LIMIT (SELECT gold FROM coins)
), kept AS MATERIALIZED (
    SELECT task_id, rank FROM ordinary ORDER BY rank, task_id
    LIMIT (SELECT found FROM coins) - (SELECT count(*) FROM gold)
), candidate AS MATERIALIZED (
    SELECT task_id, rank FROM kept UNION ALL SELECT task_id, rank FROM gold
)"""
_BY_ID = "coalesce(given.leased_at, now()), given.id"


def inject(queue: str, idle: str, reached: str = ")") -> str:
    candidate = CANDIDATE.format(queue=queue, idle=idle + NOT_GIVEN_BACK, limit=MISSING)
    return LEASE_STATEMENT.format(
        candidates=_INJECTED.format(candidate=candidate), reached=reached, order=_BY_ID, **PLAIN
    )


_ALL_BEYOND = QUEUE.format(after=BEYOND, first="")
_REACHED = REACHED.format(of="kept")

INJECT, INJECT_IN_TURN = inject(FIRST, IDLE), inject(FIRST, "")
INJECT_BEYOND, INJECT_IN_TURN_BEYOND = inject(_ALL_BEYOND, IDLE, _REACHED), inject(_ALL_BEYOND, "", _REACHED)
INJECT_ANYWHERE = inject(QUEUE.format(after="", first=""), "")

# When there is nothing else: what this annotator has given back of a pool, gold or not, in any order.
# Index assignment_given_back.
_GIVEN_BACK = f"""
    SELECT task_id, trunc(1000000 * random())::int AS rank FROM (
        SELECT DISTINCT a.task_id
        FROM projects_assignment a JOIN projects_taskqueue q ON q.task_id = a.task_id
        WHERE a.annotator_id = %(annotator)s AND a.status IN ('expired', 'released')
          AND q.pool IN (%(pool)s::text, {MARK} || %(pool)s::text)
    ) returned
    ORDER BY rank, task_id
"""
LEASE_AGAIN = LEASE_STATEMENT.format(
    candidates="candidate AS ({})".format(CANDIDATE.format(queue=_GIVEN_BACK, idle="", limit=MISSING)),
    reached=")",
    order=_BY_ID,
    **PLAIN,
)

# Gold of a project lies where its settings want it, and wants as many votes. Only gold that was uploaded is
# injected, and of that only what is handed out at all. The tasks are locked; what retires them follows. Of an upload,
# the gold that came with it.
_PLACE_GOLD = f"""
WITH placed AS (
    SELECT s.task_id, s.votes, p."order", p.redundancy, p.gold_exposures,
           p.gold_share IS NOT NULL AND s.own_redundancy IS DISTINCT FROM 0 AS injected
    FROM projects_gold g
    JOIN projects_project p ON p.id = g.project_id
    JOIN projects_taskstate s ON s.task_id = g.task_id
    WHERE g.project_id = %(project)s AND g.origin = 'uploaded' {{which}}
), state AS (
    UPDATE projects_taskstate s
    SET redundancy = greatest(s.votes + s.leases, CASE
            WHEN injected THEN coalesce(least(s.own_redundancy, placed.gold_exposures), {UNLIMITED})
            ELSE coalesce(s.own_redundancy, placed.redundancy) END)
    FROM placed WHERE s.task_id = placed.task_id
)
UPDATE projects_taskqueue q
SET pool = CASE WHEN injected THEN {MARK} ELSE '' END || ltrim(q.pool, {MARK}),
    priority = CASE
        WHEN injected OR placed."order" = 'random' THEN trunc(1001 * random())
        WHEN placed."order" = 'sequential' THEN 0
        WHEN placed."order" = 'depth_first' THEN least(placed.votes, 1000)
        ELSE greatest(1000 - placed.votes, 0) END
FROM placed WHERE q.task_id = placed.task_id
RETURNING q.task_id
"""
PLACE_GOLD = _PLACE_GOLD.format(which="")
PLACE_UPLOADED_GOLD = _PLACE_GOLD.format(
    which="AND g.task_id IN (SELECT task_id FROM upload WHERE gold IS NOT NULL) AND g.created_at = now()"
)
