"""Named SQL of a project's target: all its labels, audits of them, and when to look."""

# Projects (or this one) that stop at a target or a budget and have another version, a new refit or a new task since the
# last look; and once a day, for audits that wait in vain. Indexes run_latest and task_by_project.
TARGETS_DUE = """
SELECT p.id FROM projects_project p LEFT JOIN aggregation_outlook o ON o.project_id = p.id
WHERE (%(project)s::bigint IS NULL OR p.id = %(project)s)
  AND (p.target_accuracy IS NOT NULL OR p.budget IS NOT NULL OR o.figures <> '{}')
  AND (o.seen_version IS DISTINCT FROM p.version
       OR o.rests_until <= now() AND (
            (SELECT r.id FROM aggregation_run r
             WHERE r.project_id = p.id AND r.kind = 'refit' AND r.status = 'done' ORDER BY -r.id LIMIT 1) > o.seen_run
            OR (SELECT max(t.id) FROM projects_task t WHERE t.project_id = p.id) > o.seen_task
            OR o.seen_at < now() - interval '1 day'))
"""
# The last refit and the newest task, of whatever kind.
NEWEST = """
SELECT coalesce((SELECT id FROM aggregation_run
                 WHERE project_id = %(project)s AND kind = 'refit' AND status = 'done' ORDER BY -id LIMIT 1), 0),
       coalesce((SELECT max(id) FROM projects_task WHERE project_id = %(project)s), 0)
"""

# All tasks as they are published: label (-1: none) and confidence, answer if it is known (-1: it is not), votes, how
# many more there is room for, and whether the label is the machine's alone; copied in binary. Index task_by_project.
CENSUS = """
SELECT t.id, coalesce(c.label, -1::smallint), coalesce(c.confidence, 0::float8), coalesce(g.label, -1::smallint),
       s.votes,
       CASE WHEN s.retired IS NULL AND g.label IS NULL THEN greatest(s.redundancy - s.votes, 0) ELSE 0 END,
       (c.source = 'machine') IS TRUE
FROM projects_task t
JOIN projects_taskstate s ON s.task_id = t.id
LEFT JOIN aggregation_consensus c ON c.task_id = t.id
LEFT JOIN projects_gold g ON g.task_id = t.id
WHERE t.project_id = %(project)s AND g.origin IS DISTINCT FROM 'qualification'
ORDER BY t.id
"""

# Audits of a freeze in the order drawn, with the answer (-1: unknown), and whether they have waited patiently
# for an expert who was asked.
LABEL_AUDITS = """
SELECT a.task_id, coalesce(g.label, -1::smallint), a.open AND a.drawn_at < now() - %(patience)s::interval
FROM projects_labelaudit a LEFT JOIN projects_gold g ON g.task_id = a.task_id
WHERE a.freeze = %(freeze)s ORDER BY a.number
"""
# How many tasks of the project were ever audited.
AUDITED = """
SELECT count(DISTINCT a.task_id) FROM projects_labelaudit a
JOIN projects_gold g ON g.task_id = a.task_id
WHERE a.freeze IN (SELECT id FROM aggregation_freeze WHERE project_id = %(project)s)
"""
