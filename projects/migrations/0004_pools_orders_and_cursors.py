
import django.db.models.deletion
import django.db.models.expressions
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('projects', '0003_late_votes_skips_and_idempotency_keys'),
    ]

    operations = [
        migrations.CreateModel(
            name='Cursor',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('pool', models.CharField(max_length=50)),
                ('rank', models.IntegerField()),
                ('task_id', models.BigIntegerField()),
                ('begun_at', models.DateTimeField()),
            ],
        ),
        migrations.RemoveIndex(
            model_name='taskqueue',
            name='queue_next',
        ),
        migrations.AddField(
            model_name='project',
            name='order',
            field=models.CharField(choices=[('priority', 'Priority'), ('breadth_first', 'Breadth First'), ('depth_first', 'Depth First'), ('sequential', 'Sequential'), ('random', 'Random')], default='priority', max_length=16),
        ),
        migrations.AddField(
            model_name='taskqueue',
            name='pool',
            field=models.CharField(default='', max_length=50),
        ),
        migrations.AddIndex(
            model_name='taskqueue',
            index=models.Index(models.F('project'), models.F('pool'), django.db.models.expressions.CombinedExpression(models.F('priority'), '*', models.Value(-1)), models.F('task'), condition=models.Q(('open', True)), name='queue_next'),
        ),
        migrations.AddField(
            model_name='cursor',
            name='annotator',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='projects.member'),
        ),
        migrations.AddConstraint(
            model_name='cursor',
            constraint=models.UniqueConstraint(fields=('annotator', 'pool'), name='cursor_once'),
        ),
    ]
