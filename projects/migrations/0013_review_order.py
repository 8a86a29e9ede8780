import django.db.models.expressions
from django.db import migrations, models

# A task that is retired for an expert lies in the queue of experts by its confidence, whatever the project's order. A
# trigger, since several statements retire tasks; of all others, which are most, it costs a look at one word.
DOUBT = """
CREATE FUNCTION projects_note_doubt() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    now_in_doubt smallint := round(10000 * (1 - coalesce(NEW.confidence, 0)));
BEGIN
    UPDATE projects_taskqueue SET doubt = now_in_doubt WHERE task_id = NEW.task_id AND doubt <> now_in_doubt;
    RETURN NULL;
END $$;
CREATE TRIGGER state_in_doubt AFTER UPDATE OF retired, confidence ON projects_taskstate
    FOR EACH ROW WHEN (NEW.retired IN ('flagged', 'disputed')) EXECUTE FUNCTION projects_note_doubt();
UPDATE projects_taskqueue q SET doubt = round(10000 * (1 - coalesce(s.confidence, 0)))
FROM projects_taskstate s WHERE s.task_id = q.task_id AND q.review;
"""
NO_DOUBT = """
DROP TRIGGER state_in_doubt ON projects_taskstate;
DROP FUNCTION projects_note_doubt;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("projects", "0011_held_by_annotator"),
    ]

    operations = [
        migrations.AddField(
            model_name="taskqueue",
            name="doubt",
            field=models.SmallIntegerField(db_default=0),
        ),
        migrations.RunSQL(DOUBT, NO_DOUBT),
        migrations.RemoveIndex(
            model_name="taskqueue",
            name="queue_review",
        ),
        migrations.AddIndex(
            model_name="taskqueue",
            index=models.Index(
                models.F("project"),
                django.db.models.expressions.OrderBy(models.F("doubt"), descending=True),
                models.F("task"),
                condition=models.Q(("review", True)),
                name="queue_review",
            ),
        ),
    ]
