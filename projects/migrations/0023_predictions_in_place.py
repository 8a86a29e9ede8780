import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("projects", "0022_remote_learner")]

    operations = [
        # A million come with every retraining, each of a task that the retraining has just read.
        migrations.AlterField(
            "prediction",
            "task",
            models.OneToOneField(
                db_constraint=False,
                on_delete=django.db.models.deletion.CASCADE,
                primary_key=True,
                related_name="prediction",
                serialize=False,
                to="projects.task",
            ),
        ),
        # Room on each page for the next version of all its rows: they are replaced together, without a word to the index.
        migrations.RunSQL("ALTER TABLE projects_prediction SET (fillfactor = 50)", migrations.RunSQL.noop),
    ]
