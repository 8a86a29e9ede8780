"""What the machine says, shown to people."""

# What is to be decided of new assignments: what the machine says of their tasks, and whether these audit it. Index:
# primary keys.
TO_SUGGEST = """
SELECT a.id, d.task_id IS NOT NULL, p.posterior
FROM projects_assignment a
LEFT JOIN projects_prediction p ON p.task_id = a.task_id
LEFT JOIN projects_audit d ON d.task_id = a.task_id
WHERE a.id = ANY(%(assignments)s::uuid[]) AND a.shown IS NULL
"""

# Decide it, once: of two requests at the same time the first one's decision stays.
SUGGEST = """
UPDATE projects_assignment a SET suggestion = given.suggestion, shown = given.shown
FROM unnest(%(assignments)s::uuid[], %(suggestions)s::smallint[], %(shown)s::boolean[])
     AS given(assignment, suggestion, shown)
WHERE a.id = given.assignment AND a.shown IS NULL
"""
SUGGESTED = """
SELECT id, suggestion FROM projects_assignment WHERE id = ANY(%(assignments)s::uuid[]) AND shown
"""

# Votes on tasks of which the machine was sure enough, by whether its answer was shown: how many, and how many agreed.
AGREEMENT_WITH_MACHINE = """
SELECT a.shown, count(*), count(*) FILTER (WHERE v.label = a.suggestion)
FROM projects_vote v JOIN projects_assignment a ON a.id = v.assignment_id
WHERE v.project_id = %(project)s AND v.status = 'counted' AND a.suggestion IS NOT NULL
GROUP BY a.shown
"""
