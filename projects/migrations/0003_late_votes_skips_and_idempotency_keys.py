import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models


# The leases that an annotator holds. It waits for every other request of that annotator that leases and then looks anew,
# as the statement that calls it could not: so that what one person holds is bounded however many requests they send.
HELD = """
CREATE FUNCTION projects_held(annotator bigint)
RETURNS TABLE (id uuid, task_id bigint, leased_at timestamptz, expires_at timestamptz)
LANGUAGE plpgsql VOLATILE ROWS 3 AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(annotator);
    RETURN QUERY
        SELECT a.id, a.task_id, a.leased_at, a.expires_at FROM projects_assignment a
        WHERE a.annotator_id = annotator AND a.status = 'open' AND a.expires_at > now();
END $$
"""


class Migration(migrations.Migration):

    dependencies = [
        ('projects', '0002_storage'),
    ]

    operations = [
        migrations.CreateModel(
            name='IdempotencyKey',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('path', models.CharField(max_length=200)),
                ('key', models.CharField(max_length=255)),
                ('digest', models.BinaryField(max_length=32)),
                ('status', models.SmallIntegerField(null=True)),
                ('body', models.BinaryField(null=True)),
                ('claimed_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
        ),
        migrations.RemoveConstraint(
            model_name='assignment',
            name='assignment_once_per_annotator',
        ),
        migrations.RemoveConstraint(
            model_name='vote',
            name='vote_once_per_task_and_annotator',
        ),
        migrations.AddField(
            model_name='assignment',
            name='skip_comment',
            field=models.CharField(max_length=1000, null=True),
        ),
        migrations.AddField(
            model_name='assignment',
            name='skip_reason',
            field=models.CharField(choices=[('unclear', 'Unclear'), ('broken', 'Broken'), ('not_for_me', 'Not For Me')], max_length=12, null=True),
        ),
        migrations.AddField(
            model_name='project',
            name='max_leases',
            field=models.PositiveIntegerField(default=100),
        ),
        migrations.AddField(
            model_name='project',
            name='max_skips',
            field=models.PositiveIntegerField(null=True),
        ),
        migrations.AlterField(
            model_name='assignment',
            name='status',
            field=models.CharField(choices=[('open', 'Open'), ('voted', 'Voted'), ('skipped', 'Skipped'), ('released', 'Released'), ('expired', 'Expired')], default='open', max_length=8),
        ),
        migrations.AlterField(
            model_name='event',
            name='kind',
            field=models.CharField(choices=[('vote', 'Vote'), ('import', 'Import'), ('gold', 'Gold'), ('flag', 'Flag')], max_length=8),
        ),
        migrations.AddConstraint(
            model_name='assignment',
            constraint=models.UniqueConstraint(condition=models.Q(('status__in', ['expired', 'released']), _negated=True), fields=('task', 'annotator'), name='assignment_once_per_annotator'),
        ),
        migrations.AddConstraint(
            model_name='project',
            constraint=models.CheckConstraint(condition=models.Q(('max_leases__gte', 1), ('max_leases__lte', 1000)), name='project_leases_1_to_1000'),
        ),
        migrations.AddConstraint(
            model_name='project',
            constraint=models.CheckConstraint(condition=models.Q(('max_skips__isnull', True), models.Q(('max_skips__gte', 1), ('max_skips__lte', 1000)), _connector='OR'), name='project_skips_1_to_1000'),
        ),
        migrations.AddConstraint(
            model_name='vote',
            constraint=models.UniqueConstraint(condition=models.Q(('status__in', ['superseded', 'uncounted']), _negated=True), fields=('task', 'annotator'), name='vote_once_per_task_and_annotator'),
        ),
        migrations.AddField(
            model_name='idempotencykey',
            name='user',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddIndex(
            model_name='idempotencykey',
            index=models.Index(fields=['claimed_at'], name='idempotency_key_old'),
        ),
        migrations.AddConstraint(
            model_name='idempotencykey',
            constraint=models.UniqueConstraint(fields=('user', 'path', 'key'), name='idempotency_key_once'),
        ),
        migrations.RunSQL(HELD, "DROP FUNCTION projects_held"),
    ]
