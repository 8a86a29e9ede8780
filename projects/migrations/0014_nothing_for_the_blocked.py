from django.db import migrations

# As before; and whoever is blocked holds as much as anybody may, seen from under their lock: a request that was let in
# before the block leases nothing after it.
HELD = """
CREATE OR REPLACE FUNCTION projects_held(annotator bigint)
RETURNS TABLE (id uuid, task_id bigint, leased_at timestamptz, expires_at timestamptz)
LANGUAGE plpgsql VOLATILE ROWS 3 AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(annotator);
    PERFORM FROM projects_member m WHERE m.id = annotator AND m.standing = 'blocked';
    IF FOUND THEN
        RETURN QUERY
            SELECT NULL::uuid, NULL::bigint, NULL::timestamptz, NULL::timestamptz FROM generate_series(1, 1000);
        RETURN;
    END IF;
    RETURN QUERY
        SELECT a.id, a.task_id, a.leased_at, a.expires_at FROM projects_assignment a
        WHERE a.annotator_id = annotator AND a.status = 'open' AND (a.expires_at > now()) IS TRUE;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("projects", "0013_review_order"),
    ]

    operations = [
        migrations.RunSQL(HELD, migrations.RunSQL.noop),
    ]
