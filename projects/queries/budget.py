"""A project's budget and its ledger.

At every moment: budget = sum of shares + prices of open assignments + sum of the ledger. A lease moves its price out of
a share, a vote from its assignment to the ledger (STORE_VOTES); whatever else ends a lease puts it back into a share,
by the trigger assignment_unspent.

Who locks several shares holds LOCK_BUDGET first; who locks one waits for nothing more. So nobody waits in a circle.
"""

# Take what an annotator who holds fewer than "count" assignments needs for the rest out of one share that nobody holds.
# A price of null beside leases above 0: no free share has so much. Constraint budget_share_once.
TAKE = """
WITH held AS MATERIALIZED (
    SELECT id FROM projects_held(%(annotator)s)
), wanted AS MATERIALIZED (
    SELECT greatest(0, %(count)s - count(*)) AS leases FROM held
), share AS MATERIALIZED (
    SELECT b.id, b.number, b.price
    FROM projects_budgetshare b
    WHERE b.project_id = %(project)s AND (SELECT leases FROM wanted) > 0
      AND (b.available IS NULL OR b.available >= b.price * (SELECT leases FROM wanted))
    ORDER BY random()
    LIMIT 1
    FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE projects_budgetshare b SET available = b.available - b.price * wanted.leases
    FROM share, wanted WHERE b.id = share.id AND b.available IS NOT NULL
)
SELECT ARRAY(SELECT id FROM held), wanted.leases, share.price, share.number FROM wanted LEFT JOIN share ON true
"""

# What an annotator holds, all other leases of theirs kept out.
HOLD = "SELECT ARRAY(SELECT id FROM projects_held(%(annotator)s))"

# Is there enough for a lease, and do open leases hold what may come back? In one snapshot, so that both are true of the
# same moment. Index assignment_reserved.
FUNDS_LEFT = """
SELECT coalesce(sum(available) >= max(price), true),
       EXISTS (SELECT FROM projects_assignment
               WHERE project_id = %(project)s AND status = 'open' AND price IS NOT NULL)
FROM projects_budgetshare WHERE project_id = %(project)s
"""

# The sweeper ends leases of several projects at once, and gives back to a share of each: one sweeper at a time.
LOCK_SWEEP = "SELECT pg_advisory_xact_lock(71004, 0)"

LOCK_BUDGET = "SELECT pg_advisory_xact_lock(71003, %(project)s::int)"

# Wait for everybody who moves money; what is available then (null: no limit) and the price of a vote.
LOCK_SHARES = """
SELECT sum(available), max(price) FROM (
    SELECT available, price FROM projects_budgetshare WHERE project_id = %(project)s ORDER BY number FOR UPDATE
) locked
"""

MAKE_SHARES = """
INSERT INTO projects_budgetshare (project_id, number, price)
SELECT %(project)s, number, 0 FROM generate_series(0, %(shares)s - 1) number
ON CONFLICT DO NOTHING
"""

# Spread an amount over the shares, in whole votes: what is less than a vote lies in the first. All shares are locked.
SPREAD = """
WITH votes AS (
    SELECT CASE WHEN %(price)s > 0 THEN div(%(available)s::numeric, %(price)s) ELSE 0 END AS n, count(*) AS shares
    FROM projects_budgetshare WHERE project_id = %(project)s
)
UPDATE projects_budgetshare
SET price = %(price)s,
    available = CASE
        WHEN number = 0 THEN %(available)s::numeric - %(price)s * (n - div(n, shares) - (mod(n, shares) > 0)::int)
        WHEN %(available)s::numeric IS NOT NULL THEN %(price)s * (div(n, shares) + (number < mod(n, shares))::int)
    END
FROM votes WHERE project_id = %(project)s
"""

# What a lease did not use, into the share that it holds.
PUT_BACK = """
UPDATE projects_budgetshare SET available = available + %(amount)s
WHERE project_id = %(project)s AND number = %(number)s AND available IS NOT NULL
"""

# The price of an assignment that is voted on late. Locks it and its task, before the budget.
LATE_PRICE = """
WITH late AS (
    SELECT task_id, price FROM projects_assignment
    WHERE id = %(assignment)s AND annotator_id = %(annotator)s AND status IN ('open', 'expired') AND price > 0
    FOR UPDATE
)
SELECT late.price FROM late JOIN projects_taskstate s ON s.task_id = late.task_id
FOR UPDATE OF s
"""

# Where a project's money is, in one snapshot. Indexes payment_by_project and assignment_reserved.
STANDING = """
SELECT (SELECT coalesce(sum(amount), 0) FROM projects_payment WHERE project_id = %(project)s),
       (SELECT coalesce(sum(price), 0) FROM projects_assignment
        WHERE project_id = %(project)s AND status = 'open' AND price IS NOT NULL),
       (SELECT sum(available) FROM projects_budgetshare WHERE project_id = %(project)s)
"""

# The ledger, line by line. Index payment_by_project.
LEDGER = """
SELECT p.id, p.annotator_id, m.name, p.vote_id, v.task_id, t.key, p.amount, p.created_at
FROM projects_payment p
JOIN projects_member m ON m.id = p.annotator_id
JOIN projects_vote v ON v.id = p.vote_id
JOIN projects_task t ON t.id = v.task_id
WHERE p.project_id = %(project)s ORDER BY p.id
"""
