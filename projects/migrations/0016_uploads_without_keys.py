import django.db.models.deletion
from django.db import migrations, models

# A million tasks come in at once: each row's foreign keys would be looked up one by one, three a task. The statements
# that write these rows write what they name, or hold it; and what they name can't be deleted, by this.
KEPT = """
CREATE OR REPLACE FUNCTION projects_refuse_orphans() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    is_named boolean;
    place text;
    named_in text[] := CASE TG_ARGV[0]
        WHEN 'project_id' THEN ARRAY['projects_task']
        WHEN 'task_id' THEN ARRAY['projects_taskstate', 'projects_taskqueue', 'projects_vote', 'projects_assignment']
        WHEN 'annotator_id' THEN ARRAY['projects_vote', 'projects_assignment']
        ELSE ARRAY['projects_vote'] END;
BEGIN
    IF TG_ARGV[0] = 'annotator_id' THEN
        PERFORM pg_advisory_xact_lock(OLD.id);
    ELSIF TG_ARGV[0] = 'task_id' THEN
        PERFORM FROM projects_taskstate WHERE task_id = OLD.id FOR UPDATE;
    END IF;
    FOREACH place IN ARRAY named_in LOOP
        EXECUTE format('SELECT EXISTS (SELECT 1 FROM %I WHERE %I = $1)', place, TG_ARGV[0]) INTO is_named USING OLD.id;
        IF is_named THEN
            RAISE foreign_key_violation
                USING MESSAGE = format('%s %s is still named in %s', TG_TABLE_NAME, OLD.id, place);
        END IF;
    END LOOP;
    RETURN OLD;
END $$;
CREATE TRIGGER project_has_tasks BEFORE DELETE ON projects_project
    FOR EACH ROW EXECUTE FUNCTION projects_refuse_orphans('project_id');
"""


def _unchecked(model, name, to, related, kind=models.ForeignKey, **more):
    field = kind(
        db_constraint=False, on_delete=django.db.models.deletion.CASCADE, related_name=related, to=to, **more
    )
    return migrations.AlterField(model_name=model, name=name, field=field)


class Migration(migrations.Migration):
    dependencies = [
        ("projects", "0015_fewer_plans"),
    ]

    operations = [
        _unchecked("task", "project", "projects.project", "tasks", db_index=False),
        _unchecked("taskstate", "task", "projects.task", "state", models.OneToOneField, primary_key=True, serialize=False),
        _unchecked("taskqueue", "task", "projects.task", "queue", models.OneToOneField, primary_key=True, serialize=False),
        migrations.RunSQL(KEPT, "DROP TRIGGER project_has_tasks ON projects_project"),
    ]
