"""How much of a project one annotator may do."""

# Who has voted so often today (by this clock, in UTC), until their tally and since, and holds so many assignments. The
# annotator is locked (LOCK_ANNOTATOR), so nothing of it changes. Late votes that did not count and what was answered in
# training or a test are no work; votes that were discarded since are. Indexes vote_of_annotator and
# assignment_of_annotator.
WORK_DONE = """
SELECT (SELECT count(*) FROM projects_vote
        WHERE annotator_id = %(annotator)s AND created_at >= date_trunc('day', now(), 'UTC')
          AND status NOT IN ('uncounted', 'superseded')),
       coalesce((SELECT votes FROM projects_tally WHERE annotator_id = %(annotator)s), 0),
       (SELECT count(*) FROM projects_vote
        WHERE annotator_id = %(annotator)s AND status NOT IN ('uncounted', 'superseded') AND %(all)s::boolean
          AND created_at >= coalesce(
              (SELECT until FROM projects_tally WHERE annotator_id = %(annotator)s), '-infinity')),
       (SELECT count(*) FROM projects_assignment
        WHERE annotator_id = %(annotator)s AND status = 'open' AND expires_at > now())
"""

# What need not be counted again: votes from before every transaction that is still running began. A vote bears the time
# at which its transaction began, so none can be added to them.
TALLY = """
INSERT INTO projects_tally AS t (annotator_id, until, votes)
SELECT %(annotator)s, past.until, coalesce(old.votes, 0) + count(v.id)
FROM (SELECT min(xact_start) AS until FROM pg_stat_activity) past
LEFT JOIN projects_tally old ON old.annotator_id = %(annotator)s
LEFT JOIN projects_vote v
  ON v.annotator_id = %(annotator)s AND v.status NOT IN ('uncounted', 'superseded')
  AND v.created_at < past.until AND v.created_at >= coalesce(old.until, '-infinity')
GROUP BY past.until, old.votes
ON CONFLICT (annotator_id) DO UPDATE SET until = EXCLUDED.until, votes = EXCLUDED.votes
WHERE t.until < EXCLUDED.until
"""

# When the next day begins.
NEXT_DAY = "SELECT date_trunc('day', now(), 'UTC') + interval '1 day'"
