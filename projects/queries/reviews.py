"""Tasks for experts."""

# Tasks drawn to audit labels that wait for an expert, in the order drawn, after a number. Index label_audit_open.
AUDIT_QUEUE = """
SELECT a.task_id, a.number
FROM projects_labelaudit a
WHERE a.project_id = %(project)s AND a.open AND a.number > %(number)s
  AND (SELECT 1 FROM projects_gold g WHERE g.task_id = a.task_id) IS NULL
ORDER BY a.number
LIMIT %(limit)s
"""

# The experts' queue: retired tasks that are flagged or disputed, the least confident first in every order of a project,
# after a position. Gold is known and needs no expert, and audits have come before. Index queue_review.
REVIEW_QUEUE = """
SELECT q.task_id, q.doubt
FROM projects_taskqueue q
WHERE q.project_id = %(project)s AND q.review
  AND q.doubt <= %(doubt)s AND (q.doubt < %(doubt)s OR q.task_id > %(task)s)
  AND (SELECT 1 FROM projects_gold g WHERE g.task_id = q.task_id) IS NULL
  AND (SELECT 1 FROM projects_labelaudit a WHERE a.task_id = q.task_id AND a.open) IS NULL
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
