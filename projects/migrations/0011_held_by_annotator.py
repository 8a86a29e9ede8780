from django.db import migrations

# As before, but never by looking through all leases of the project that are not over yet (index assignment_due), as a
# plan that was made while there were few would.
HELD = """
CREATE OR REPLACE FUNCTION projects_held(annotator bigint)
RETURNS TABLE (id uuid, task_id bigint, leased_at timestamptz, expires_at timestamptz)
LANGUAGE plpgsql VOLATILE ROWS 3 AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(annotator);
    RETURN QUERY
        SELECT a.id, a.task_id, a.leased_at, a.expires_at FROM projects_assignment a
        WHERE a.annotator_id = annotator AND a.status = 'open' AND (a.expires_at > now()) IS TRUE;
END $$
"""


class Migration(migrations.Migration):
    dependencies = [
        ("projects", "0010_people"),
    ]

    operations = [
        migrations.RunSQL(HELD, migrations.RunSQL.noop),
    ]
