import django.db.models.deletion
from django.db import migrations, models

# Write recomputed tasks, whose rows are locked: hot row, posterior and queue row, each only where it changes. A function
# of three small statements, whose plans start several times faster than that of a single one.
WRITE = """
CREATE FUNCTION projects_write_tasks(
    ids bigint[], labels smallint[], runners_up smallint[], confidences float8[], reasons text[], priorities smallint[],
    posteriors jsonb, of_run bigint
)
RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    UPDATE projects_taskstate s
    SET label = new.label, runner_up = new.runner_up, confidence = new.confidence, retired = new.reason, run = of_run
    FROM unnest(ids, labels, runners_up, confidences, reasons) AS new(id, label, runner_up, confidence, reason)
    WHERE s.task_id = new.id
      AND (s.label, s.runner_up, s.confidence, s.retired)
          IS DISTINCT FROM (new.label, new.runner_up, new.confidence, new.reason);
    UPDATE projects_taskqueue q
    SET open = new.reason IS NULL, priority = coalesce(new.priority, q.priority),
        review = new.reason IN ('flagged', 'disputed') IS TRUE
    FROM unnest(ids, reasons, priorities) AS new(id, reason, priority)
    WHERE q.task_id = new.id
      AND (q.open, q.priority, q.review)
          IS DISTINCT FROM (new.reason IS NULL, coalesce(new.priority, q.priority),
                            new.reason IN ('flagged', 'disputed') IS TRUE);
    INSERT INTO projects_taskposterior AS p (task_id, posterior)
    SELECT id, posteriors -> (place - 1)::integer FROM unnest(ids) WITH ORDINALITY AS new(id, place)
    ON CONFLICT (task_id) DO UPDATE SET posterior = EXCLUDED.posterior
    WHERE p.posterior IS DISTINCT FROM EXCLUDED.posterior;
END $$
"""

# What is written with every lease and vote has no foreign keys: each would be looked up again, and its row locked and
# logged, when the transaction ends. That what it names exists is seen to by the statements that write it, under the
# annotator's and the task's locks; that it is never deleted under them, by this, which waits for these locks.
KEPT = """
CREATE FUNCTION projects_refuse_orphans() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    is_named boolean;
BEGIN
    IF TG_ARGV[0] = 'annotator_id' THEN
        PERFORM pg_advisory_xact_lock(OLD.id);
    ELSIF TG_ARGV[0] = 'task_id' THEN
        PERFORM FROM projects_taskstate WHERE task_id = OLD.id FOR UPDATE;
    END IF;
    EXECUTE format(
        'SELECT EXISTS (SELECT 1 FROM projects_vote WHERE %1$I = $1)' ||
        CASE WHEN TG_ARGV[0] = 'assignment_id' THEN '' ELSE
            ' OR EXISTS (SELECT 1 FROM projects_assignment WHERE %1$I = $1)' END,
        TG_ARGV[0]
    ) INTO is_named USING OLD.id;
    IF is_named THEN
        RAISE foreign_key_violation USING MESSAGE = format('%s %s still has votes or assignments', TG_TABLE_NAME, OLD.id);
    END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER task_has_work BEFORE DELETE ON projects_task
    FOR EACH ROW EXECUTE FUNCTION projects_refuse_orphans('task_id');
CREATE TRIGGER member_has_work BEFORE DELETE ON projects_member
    FOR EACH ROW EXECUTE FUNCTION projects_refuse_orphans('annotator_id');
CREATE TRIGGER assignment_has_vote BEFORE DELETE ON projects_assignment
    FOR EACH ROW EXECUTE FUNCTION projects_refuse_orphans('assignment_id');
"""
KEPT_NO_MORE = """
DROP TRIGGER task_has_work ON projects_task;
DROP TRIGGER member_has_work ON projects_member;
DROP TRIGGER assignment_has_vote ON projects_assignment;
DROP FUNCTION projects_refuse_orphans;
"""

# Go on only if those who are asking, their memberships and the project are the rows that were seen before. An error, so
# that what was sent along with it is not done. Nor does what follows in the transaction wait long for anybody's lock: who
# asks for several at once must not keep them all.
SEEN = """
CREATE FUNCTION projects_require_seen(digests bytea[], of_project bigint, versions text[])
RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    good bigint;
BEGIN
    PERFORM set_config('lock_timeout', '500ms', true);
    SELECT count(*) INTO good
    FROM unnest(digests, versions) AS seen(digest, version)
    JOIN projects_apitoken t ON t.digest = seen.digest AND t.revoked_at IS NULL
    JOIN projects_user u ON u.id = t.user_id AND u.is_active
    JOIN projects_member m ON m.user_id = u.id AND m.project_id = of_project
    JOIN projects_project p ON p.id = m.project_id
    WHERE concat_ws(' ', u.xmin, u.ctid, m.xmin, m.ctid, p.xmin, p.ctid) = seen.version;
    IF good < array_length(digests, 1) THEN
        RAISE EXCEPTION USING ERRCODE = 'CR001', MESSAGE = 'who is asking was changed since they were seen';
    END IF;
END $$
"""


def _unchecked(model, name, related, **more):
    kind = more.pop("kind", models.ForeignKey)
    to = {"task": "projects.task", "annotator": "projects.member", "assignment": "projects.assignment"}[name]
    field = kind(
        db_constraint=False, on_delete=django.db.models.deletion.CASCADE, related_name=related, to=to, **more
    )
    return migrations.AlterField(model_name=model, name=name, field=field)


class Migration(migrations.Migration):
    dependencies = [
        ("projects", "0014_nothing_for_the_blocked"),
    ]

    operations = [
        _unchecked("assignment", "task", "assignments", db_index=False),
        _unchecked("assignment", "annotator", "assignments", db_index=False),
        _unchecked("vote", "task", "votes", db_index=False),
        _unchecked("vote", "annotator", "votes", db_index=False),
        _unchecked("vote", "assignment", "vote", kind=models.OneToOneField, null=True),
        migrations.RunSQL(KEPT, KEPT_NO_MORE),
        migrations.RunSQL(WRITE, "DROP FUNCTION projects_write_tasks"),
        migrations.RunSQL(SEEN, "DROP FUNCTION projects_require_seen"),
    ]
