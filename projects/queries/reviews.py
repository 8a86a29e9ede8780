"""Tasks for experts."""

# The experts' queue: retired tasks that are flagged or disputed, the least confident first in every order of a project,
# after a position. Gold is known and needs no expert. Index queue_review.
REVIEW_QUEUE = """
SELECT q.task_id, q.doubt
FROM projects_taskqueue q
WHERE q.project_id = %(project)s AND q.review
  AND q.doubt <= %(doubt)s AND (q.doubt < %(doubt)s OR q.task_id > %(task)s)
  AND (SELECT 1 FROM projects_gold g WHERE g.task_id = q.task_id) IS NULL
ORDER BY q.doubt DESC, q.task_id
LIMIT %(limit)s
"""

# A task goes on as its votes have it, and wants so many more; null: as many as before. The task is locked.
UNSETTLE = """
UPDATE projects_taskstate s
SET retired = NULL, version = s.version + 1,
    own_redundancy = %(own)s::int,
    redundancy = greatest(coalesce(%(own)s::int, (SELECT redundancy FROM projects_project WHERE id = s.project_id)),
                          s.votes + s.leases)
WHERE s.task_id = %(task)s
"""
