"""Idempotency keys."""

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
