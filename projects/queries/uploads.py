"""Tasks and recorded votes in."""

# Checked lines lie in a temporary table, are checked against the project, and merged ---

UPLOAD_TABLE = """
CREATE TEMPORARY TABLE upload (
    line integer NOT NULL, key text, data jsonb NOT NULL, gold smallint, redundancy integer, pool text NOT NULL,
    task_id bigint DEFAULT nextval(pg_get_serial_sequence('projects_task', 'id')), known boolean NOT NULL DEFAULT false
) ON COMMIT DROP
"""

# Lines whose key the project has already. Constraint task_key_once_per_project.
UPLOAD_KNOWN = """
UPDATE upload u SET known = true, task_id = t.id
FROM projects_task t WHERE t.project_id = %(project)s AND t.key = u.key
"""

# A known key must come with the same data and in the same pool, and must not contradict its gold;
# gold that is injected lies beside its pool (PLACE_GOLD).
UPLOAD_CONFLICTS = """
SELECT u.line, CASE WHEN t.data IS DISTINCT FROM u.data THEN 'data'
                    WHEN ltrim(q.pool, chr(1)) <> u.pool THEN 'pool' ELSE 'gold' END
FROM upload u
JOIN projects_task t ON t.id = u.task_id
JOIN projects_taskqueue q ON q.task_id = t.id
LEFT JOIN projects_gold g ON g.task_id = t.id
WHERE u.known AND (t.data IS DISTINCT FROM u.data OR ltrim(q.pool, chr(1)) <> u.pool OR g.label <> u.gold)
ORDER BY u.line LIMIT 100
"""

UPLOAD_TASKS = """
INSERT INTO projects_task (id, project_id, key, data, created_at)
SELECT task_id, %(project)s, key, data, now() FROM upload WHERE NOT known ORDER BY line
"""

UPLOAD_STATES = """
INSERT INTO projects_taskstate (task_id, project_id, votes, leases, redundancy, own_redundancy, version, retired)
SELECT task_id, %(project)s, 0, 0, coalesce(redundancy, %(redundancy)s), redundancy, 0,
       CASE WHEN redundancy = 0 THEN 'redundancy' END
FROM upload WHERE NOT known ORDER BY line
"""

# As CHANGE_ORDER, of tasks that have no votes yet.
UPLOAD_QUEUE = """
INSERT INTO projects_taskqueue (task_id, project_id, pool, open, priority)
SELECT task_id, %(project)s, pool, redundancy IS DISTINCT FROM 0,
       CASE %(order)s WHEN 'depth_first' THEN 0 WHEN 'sequential' THEN 0 WHEN 'random' THEN trunc(1001 * random())
                      ELSE 1000 END
FROM upload WHERE NOT known ORDER BY line
"""

UPLOAD_GOLD = """
WITH added AS (
    INSERT INTO projects_gold (task_id, project_id, label, origin, created_at)
    SELECT task_id, %(project)s, gold, CASE pool WHEN %(qualification)s THEN 'qualification' ELSE 'uploaded' END, now()
    FROM upload WHERE gold IS NOT NULL ORDER BY line
    ON CONFLICT (task_id) DO NOTHING
    RETURNING task_id
), locked AS (
    SELECT task_id FROM projects_taskstate WHERE task_id IN (SELECT task_id FROM added) ORDER BY task_id FOR UPDATE
), changed AS (
    UPDATE projects_taskstate s SET version = s.version + 1 FROM locked WHERE s.task_id = locked.task_id
)
SELECT count(*) FROM added
"""

# --- Import of recorded votes ---

IMPORT_TABLE = """
CREATE TEMPORARY TABLE imported (
    line integer NOT NULL, key text NOT NULL, worker text NOT NULL, label smallint NOT NULL,
    task_id bigint, annotator_id bigint
) ON COMMIT DROP
"""

IMPORT_TASKS = """
UPDATE imported i SET task_id = t.id FROM projects_task t WHERE t.project_id = %(project)s AND t.key = i.key
"""

IMPORT_UNKNOWN_TASKS = "SELECT line, key FROM imported WHERE task_id IS NULL ORDER BY line LIMIT 100"

# Annotators of recorded votes: members without a user. Constraint member_imported_name_once.
IMPORT_ANNOTATORS = """
WITH added AS (
    INSERT INTO projects_member (project_id, user_id, name, role, created_at)
    SELECT %(project)s, NULL, worker, 'annotator', now() FROM imported GROUP BY worker ORDER BY min(line)
    ON CONFLICT DO NOTHING
    RETURNING id
)
SELECT count(*) FROM added
"""

IMPORT_ANNOTATOR_IDS = """
UPDATE imported i SET annotator_id = m.id
FROM projects_member m WHERE m.project_id = %(project)s AND m.user_id IS NULL AND m.name = i.worker
"""

# Recorded votes become counted votes. Of a repeated (task, worker) the first stays: the stored, or the file's first.
IMPORT_VOTES = """
WITH locked AS (
    SELECT task_id FROM projects_taskstate WHERE task_id IN (SELECT task_id FROM imported) ORDER BY task_id FOR UPDATE
), first AS (
    SELECT DISTINCT ON (task_id, annotator_id) line, task_id, annotator_id, label
    FROM imported ORDER BY task_id, annotator_id, line
), stored AS (
    INSERT INTO projects_vote (project_id, task_id, annotator_id, answer, label, status, created_at)
    SELECT %(project)s, f.task_id, f.annotator_id,
           jsonb_build_object('label', (%(labels)s::text[])[f.label + 1]), f.label, 'counted', now()
    FROM first f JOIN locked ON locked.task_id = f.task_id ORDER BY f.line
    ON CONFLICT DO NOTHING
    RETURNING task_id
), added AS (
    SELECT task_id, count(*) AS n FROM stored GROUP BY task_id
), counted AS (
    UPDATE projects_taskstate s
    SET votes = s.votes + added.n, version = s.version + 1,
        redundancy = greatest(s.redundancy, s.votes + s.leases + added.n),
        retired = CASE WHEN s.retired IS DISTINCT FROM 'flagged'
                        AND s.votes + added.n >= greatest(s.redundancy, s.votes + s.leases + added.n)
                       THEN 'redundancy' ELSE s.retired END
    FROM added WHERE s.task_id = added.task_id
    RETURNING s.task_id, s.retired
), closed AS (
    UPDATE projects_taskqueue q SET open = false
    FROM counted WHERE q.task_id = counted.task_id AND counted.retired IS NOT NULL AND q.open
)
SELECT count(*) FROM stored
"""
