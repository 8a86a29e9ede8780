-- The database's own ceiling, for pgbench: one lease and one vote, each a transaction of a single statement, with what
-- makes them exact (a row lock, a place counted, an annotator never twice) and nothing else. Any task will do: its order
-- costs nothing, and tasks and annotators never run out. The schema is in server_ceiling.py.
\set annotator random(1, 1000000000)
\set first random(1, :tasks)
\set label random(0, 1)
WITH candidate AS (
    SELECT t.id FROM ceiling.task t
    WHERE t.id >= :first AND t.taken < t.redundancy
      AND (SELECT 1 FROM ceiling.assignment a WHERE a.task = t.id AND a.annotator = :annotator) IS NULL
    ORDER BY t.id LIMIT 1
    FOR UPDATE OF t SKIP LOCKED
), leased AS (
    INSERT INTO ceiling.assignment (task, annotator) SELECT id, :annotator FROM candidate RETURNING id, task
), counted AS (
    UPDATE ceiling.task t SET taken = t.taken + 1 FROM leased WHERE t.id = leased.task
)
SELECT id AS assignment FROM leased \gset
WITH closed AS (
    UPDATE ceiling.assignment SET open = false
    WHERE id = :assignment AND annotator = :annotator AND open
    RETURNING task, annotator
)
INSERT INTO ceiling.vote (task, annotator, label) SELECT task, annotator, :label FROM closed;
