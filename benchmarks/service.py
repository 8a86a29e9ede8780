"""What it costs a project to be fitted: votes out of PostgreSQL, consensus into it, beside the ORM doing the same.

    uv run benchmarks/service.py [--votes 1000000] [--label-model auto] [--json FILE]

Votes are those of `aggregation.py`, uploaded and imported into a project on a PostgreSQL of its own, as `manage.py up`
starts it, in a throw-away folder; of some tasks the true label is known. The steps are the service's own functions, and
each is measured: seconds, the peak memory of its process, and the rows that it writes. First all of it; then 0.1 % more
votes, and a second refit, which should write only what changed. The ORM loads the same rows, and publishes the same fit
by `bulk_update` and `bulk_create`: of so many tasks that one does not wait for half an hour. ratio: its seconds to
ours, for each row.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.measure import COLUMNS, LABELS, peak_mb, simulate

NAMES = [f"label {k}" for k in range(LABELS)]
LATER = 0.001  # new votes as a share of the old ones
GOLD, AT_MOST = 500, 0.25  # tasks of known truth, to calibrate on, and as a share of all
ORM_TASKS = 4_000  # that the ORM publishes
#: The tables that a refit's two steps write.
CURRENT = ("projects_livemodel", "projects_poolederror", "projects_skill", "projects_confusion")
PUBLISHED = ("projects_taskstate", "projects_taskposterior", "projects_taskqueue", "aggregation_consensus")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--votes", type=int, default=1_000_000)
    parser.add_argument("--label-model", default="auto")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    arguments = parser.parse_args()
    from crowd.supervisor.postgres import EmbeddedPostgres

    with tempfile.TemporaryDirectory(prefix="crowd-benchmark-") as folder:
        simulate(folder, str(arguments.votes))
        with EmbeddedPostgres(Path(folder, "database")) as server:
            surroundings = {"DATABASE_URL": server.url, "CROWD_HOME": folder, "CROWD_LOG_LEVEL": "ERROR"}
            filled = child("fill", folder, arguments.label_model, environment=surroundings)
            ours = child("ours", folder, environment=surroundings)
            orm = child("orm", environment=surroundings)
    ratio = {step: orm[step]["seconds"] / ours["first"][step]["seconds"] for step in orm}
    ratio["publish"] *= filled["tasks"] / orm["publish"]["tasks"]
    figures = {**vars(arguments), **filled, **ours, "orm": orm, "ratio": ratio}
    figures.pop("json")
    print(table(figures))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def child(*arguments: str, environment: dict[str, str]) -> dict[str, Any]:
    """One of the functions below in a process of its own, whose memory tells of nothing else."""
    print(f"{arguments[0]} …", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "benchmarks.service", *arguments]
    place = Path(__file__).resolve().parent.parent
    done = subprocess.run(command, env=os.environ | environment, cwd=place, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{arguments[0]} failed")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def fill(folder: str, label_model: str) -> dict[str, Any]:
    """A project with the simulated tasks and votes, by the services that an API call would use."""
    from django.core.management import call_command

    from projects.models import User
    from projects.services.projects import create_project
    from projects.services.tasks import import_votes, upload_tasks

    call_command("migrate", verbosity=0)
    creator = User.objects.create(name="benchmark")
    settings = {"name": "Benchmark", "labels": NAMES, "label_model": label_model, "redundancy": 5}
    project = create_project(creator=creator, settings=settings)
    task, worker, label = (np.load(Path(folder, f"{name}.npy")) for name in COLUMNS)
    tasks = uploaded(np.load(Path(folder, "truth.npy")))
    steps: dict[str, Any] = {}
    with measured(steps, "upload"):
        created = upload_tasks(project=project, body=io.BytesIO(tasks), media_type="application/x-ndjson")
    with measured(steps, "import"):
        import_votes(project=project, body=csv(task, worker, label))
    sizes = {"tasks": int(task.max()) + 1, "annotators": len(np.unique(worker)), "gold": created.gold}
    return sizes | {"filled": steps}


def uploaded(truth: Any) -> bytes:
    """A line of JSON for each task, the first of them with their gold: whatever was drawn, it was drawn at random."""
    n_gold = min(GOLD, int(len(truth) * AT_MOST))
    gold = [f', "gold": "{NAMES[k]}"' for k in truth[:n_gold].tolist()]
    gold += [""] * (len(truth) - len(gold))
    return "".join(f'{{"key": "{t}", "data": {{}}{known}}}\n' for t, known in enumerate(gold)).encode()


def csv(task: Any, worker: Any, label: Any) -> io.BytesIO:
    rows = zip(task.tolist(), worker.tolist(), label.tolist(), strict=True)
    return io.BytesIO(("task,worker,label\n" + "".join(f"{t},{w},label {k}\n" for t, w, k in rows)).encode())


def ours(folder: str) -> dict[str, Any]:
    """Two refits, the second after a few more votes."""
    from projects.models import Project
    from projects.services.tasks import import_votes

    project = Project.objects.get()
    first = refit(project)
    random = np.random.default_rng(1)
    task, worker, label = (np.load(Path(folder, f"{name}.npy")) for name in COLUMNS)
    more = random.choice(len(task), max(round(len(task) * LATER), 1), replace=False)
    import_votes(project=project, body=csv(task[more], random.permutation(worker)[: len(more)], label[more]))
    return {"first": first, "second": refit(project)}


def refit(project: Any) -> dict[str, Any]:
    """The steps of `aggregation.services.refit`, one by one."""
    from aggregation.models import RunKind
    from aggregation.services.calibrating import learn_calibration
    from aggregation.services.current import make_current
    from aggregation.services.fitting import fit_label_model, load_votes
    from aggregation.services.publishing import publish
    from aggregation.services.runs import finish_run, recorded_run

    steps: dict[str, Any] = {}
    with recorded_run(project=project, kind=RunKind.REFIT, parameters={}) as run:
        with measured(steps, "load"):
            loaded = load_votes(project=project)
        with measured(steps, "fit"):
            fit = fit_label_model(project=project, votes=loaded.votes, gold=loaded.gold)
        with measured(steps, "calibrate"):
            calibration, report = learn_calibration(project=project, loaded=loaded, fit=fit)
        steps["calibrate"]["n_gold"] = calibration["n_gold"] if calibration else 0
        with measured(steps, "make_current", CURRENT):
            make_current(project=project, run=run, loaded=loaded, fit=fit, calibration=calibration, report=report)
        with measured(steps, "publish", PUBLISHED):
            publish(project=project, run=run, loaded=loaded, fit=fit)
        finish_run(run=run, counts={}, metrics={})
    return steps


def orm() -> dict[str, Any]:
    """The same work on the same rows by the ORM, after nothing is left of what was published."""
    from django.db import connection

    from aggregation.models import Run
    from aggregation.services import publishing
    from aggregation.services.fitting import fit_label_model, load_votes
    from projects.models import Project

    project, run = Project.objects.get(), Run.objects.latest("id")
    steps: dict[str, Any] = {}
    with measured(steps, "load"):
        load_by_orm(project)
    loaded = load_votes(project=project)
    fit = fit_label_model(project=project, votes=loaded.votes, gold=loaded.gold)
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE aggregation_consensus, projects_taskposterior, projects_skill, projects_confusion")
        cursor.execute("UPDATE projects_taskstate SET label = NULL, runner_up = NULL, confidence = NULL, run = NULL")
        cursor.execute("UPDATE projects_taskqueue SET priority = 1000")
        cursor.execute("VACUUM FULL projects_taskstate, projects_taskqueue")
    with measured(steps, "make_current", CURRENT):
        make_current_by_orm(project, run, loaded, fit)
    publishing.write = write_by_orm
    columns = ("task_ids", "versions", "gold")
    some = replace(loaded, **{name: getattr(loaded, name)[:ORM_TASKS] for name in columns})
    with measured(steps, "publish", PUBLISHED):
        publishing.publish(project=project, run=run, loaded=some, fit=fit)
    steps["publish"]["tasks"] = len(some.task_ids)
    return steps


def load_by_orm(project: Any) -> Any:
    from aggregation.core.votes import Votes
    from projects.models import TaskState, Vote

    counted = Vote.objects.filter(project=project, status="counted")
    votes = np.array(counted.values_list("task_id", "annotator_id", "label"), dtype=np.int64)
    voted = TaskState.objects.filter(task__project=project, votes__gt=0).order_by("task_id")
    tasks = np.array(voted.values_list("task_id", "version", "task__gold__label"), dtype=np.float64)
    who, annotator = np.unique(votes[:, 1], return_inverse=True)
    task = np.searchsorted(tasks[:, 0], votes[:, 0])
    return Votes(task, annotator, votes[:, 2], len(tasks), len(who), len(project.labels))


def make_current_by_orm(project: Any, run: Any, loaded: Any, fit: Any) -> None:
    from django.db import transaction

    from projects.models import Confusion, Skill

    by_vote = fit.confusion.transpose(0, 2, 1) if fit.kinds is None else fit.kinds.confusion.transpose(0, 3, 1, 2)
    vectors = by_vote.reshape(len(fit.accuracy), len(fit.label_prior), -1).tolist()
    who = list(zip(loaded.annotator_ids.tolist(), fit.accuracy.tolist(), fit.skill.tolist(), vectors, strict=True))
    skills = [Skill(annotator_id=id_, project=project, accuracy=p, skill=s, run=run.id) for id_, p, s, _ in who]
    columns = [
        Confusion(annotator_id=id_, voted=voted, vector=vector)
        for id_, *_, vectors in who
        for voted, vector in enumerate(vectors)
    ]
    with transaction.atomic():
        Skill.objects.bulk_create(
            skills, update_conflicts=True, unique_fields=["annotator"], update_fields=["accuracy", "skill", "run"]
        )
        Confusion.objects.bulk_create(
            columns, update_conflicts=True, unique_fields=["annotator", "voted"], update_fields=["vector"]
        )


def write_by_orm(project: Any, run: Any, model: Any, summaries: Sequence[Any]) -> None:
    """What `publishing.write` does, with objects."""
    from aggregation.core import live
    from aggregation.models import Consensus
    from projects.models import TaskPosterior, TaskQueue, TaskState

    states, posteriors, queue, published = [], [], [], []
    for each in summaries:
        columns = (each.ids, each.votes, each.label.tolist(), each.runner_up.tolist(), each.confidence.tolist())
        rest = (each.retired, each.priority, map(live.encode_posterior, each.posterior))
        for id_, votes, label, second, p, retired, priority, posterior in zip(*columns, *rest, strict=True):
            said = {"label": label, "confidence": p, "retired": retired}
            states.append(TaskState(task_id=id_, runner_up=second, run=run.id, **said))
            posteriors.append(TaskPosterior(task_id=id_, posterior=posterior))
            queue.append(TaskQueue(task_id=id_, open=retired is None, priority=priority))
            more = {"project": project, "run": run, "votes": votes, "posterior": posterior, "source": "votes"}
            published.append(Consensus(task_id=id_, revision=0, **said, **more))
    TaskState.objects.bulk_update(states, ["label", "runner_up", "confidence", "retired", "run"])
    TaskQueue.objects.bulk_update(queue, ["open", "priority"])
    upsert = {"update_conflicts": True, "unique_fields": ["task"]}
    TaskPosterior.objects.bulk_create(posteriors, update_fields=["posterior"], **upsert)
    fields = ["label", "confidence", "votes", "posterior", "source", "retired", "run", "revision"]
    Consensus.objects.bulk_create(published, update_fields=fields, **upsert)


@contextmanager
def measured(steps: dict[str, Any], name: str, tables: Sequence[str] = ()) -> Iterator[None]:
    """Seconds, the highest that memory stood in the block, and how many rows of each table it has written."""
    from projects.queries import fetch

    ((before,),) = fetch("SELECT pg_current_xact_id()::text::bigint")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    began = time.perf_counter()
    yield
    steps[name] = {"seconds": time.perf_counter() - began, "peak_mb": peak_mb()}
    if tables:
        written = "SELECT count(*) FROM {} WHERE xmin::text::bigint > %(before)s"
        steps[name]["rows"] = {table: fetch(written.format(table), before=before)[0][0] for table in tables}


def table(figures: dict[str, Any]) -> str:
    sizes = "{votes:,} votes, {tasks:,} tasks, {annotators:,} annotators, {gold:,} gold, {label_model}".format(
        **figures
    )
    lines = [sizes, f"{'':24}{'seconds':>9}{'peak MB':>9}{'rows written':>14}{'ratio':>7}"]
    for part in ("filled", "first", "second", "orm"):
        for step, row in figures[part].items():
            rows = f"{sum(row['rows'].values()):14,}" if "rows" in row else f"{'':14}"
            ratio = f"{figures['ratio'][step]:7.1f}" if part == "first" and step in figures["ratio"] else ""
            lines.append(f"{part:10}{step:14}{row['seconds']:9.2f}{row['peak_mb']:9.0f}{rows}{ratio}")
    return "\n".join(
        [*lines, "ratio: the ORM's seconds to ours; it publishes {tasks:,} tasks.".format(**figures["orm"]["publish"])]
    )


CHILDREN: dict[str, Callable[..., dict[str, Any]]] = {"fill": fill, "ours": ours, "orm": orm}

if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in CHILDREN:
        import django

        os.environ["DJANGO_SETTINGS_MODULE"] = "crowd.settings"
        django.setup()
        print(json.dumps(CHILDREN[sys.argv[1]](*sys.argv[2:])))
    else:
        main()
