"""How much of a project one annotator may do."""

# Who has voted so often today (by this clock, in UTC) and in all, and holds so many assignments. The annotator is
# locked (LOCK_ANNOTATOR), so nothing of it changes. Late votes that did not count and what was answered in training or
# a test are no work; votes that were discarded since are. Indexes vote_of_annotator and assignment_of_annotator.
WORK_DONE = """
SELECT (SELECT count(*) FROM projects_vote
        WHERE annotator_id = %(annotator)s AND created_at >= date_trunc('day', now(), 'UTC')
          AND status NOT IN ('uncounted', 'superseded')),
       (SELECT count(*) FROM projects_vote
        WHERE annotator_id = %(annotator)s AND status NOT IN ('uncounted', 'superseded')
          AND %(all)s::boolean),
       (SELECT count(*) FROM projects_assignment
        WHERE annotator_id = %(annotator)s AND status = 'open' AND expires_at > now())
"""

# When the next day begins.
NEXT_DAY = "SELECT date_trunc('day', now(), 'UTC') + interval '1 day'"
