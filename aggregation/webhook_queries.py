"""Named SQL of webhooks: what is due, what waits, where the feed ends."""

# Active webhooks whose time has come and that have something to send: a message that was not acknowledged, or rows of
# the feed after their cursor. Index consensus_feed.
WEBHOOKS_DUE = """
SELECT w.id, w.project_id FROM aggregation_webhook w
WHERE w.active AND w.due_at <= now() AND (%(project)s::bigint IS NULL OR w.project_id = %(project)s)
  AND (w.message <> '' OR EXISTS (
        SELECT FROM aggregation_consensus c
        WHERE c.project_id = w.project_id AND (c.revision, c.task_id) > (w.revision, w.task)
          AND c.revision < pg_snapshot_xmin(pg_current_snapshot())::text::bigint
  ))
ORDER BY w.due_at
"""

# The end of the feed as it is now, as a cursor: whatever is published from here on comes after it.
END_OF_FEED = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1"

# How many rows of the feed wait for a webhook; no more are counted than asked for.
WEBHOOK_BACKLOG = """
SELECT count(*) FROM (
    SELECT FROM aggregation_consensus c
    WHERE c.project_id = %(project)s AND (c.revision, c.task_id) > (%(revision)s, %(task)s) LIMIT %(most)s
) waiting
"""

# After a restore, when every row is published again.
REWIND_WEBHOOKS = "UPDATE aggregation_webhook SET revision = 0, task = 0, message = '', body = NULL"
