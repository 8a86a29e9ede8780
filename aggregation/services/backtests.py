"""Backtests: what other settings would have made of a project's own votes, told before they are paid for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Now
from numpy.typing import NDArray

from aggregation.core.calibration import ENOUGH_GOLD
from aggregation.core.cost_quality import CostQuality, cost_of, cost_quality, full, often_wrong
from aggregation.core.label_models import DEFAULT_LABEL_MODEL, LABEL_MODELS
from aggregation.core.policy import Policy
from aggregation.core.replay import replay
from aggregation.core.votes import Ints, Votes
from aggregation.models import Backtest, BacktestStatus
from aggregation.services.fitting import Loaded, load_votes
from aggregation.services.locks import Lock, advisory_lock
from aggregation.services.runs import reason
from projects.errors import Conflict, Invalid
from projects.models import Acquisition, Project, Task
from projects.services.hints import hint_after_commit
from projects.services.projects import check_target

#: Replays of each policy.
SEEDS = 5
#: Of more votes, those of tasks drawn at random: they tell as much, in a minute.
MOST_VOTES = 20_000
#: A backtest whose process was killed so often is given up.
MOST_ATTEMPTS = 3
#: Settings that a replay does not follow: what they do is not in recorded votes, or needs the learner.
NOT_FOLLOWED = (
    "auto_label_error",
    "confirm_above",
    "explore_share",
    "flag_below",
    "gold_share",
    "learner",
    "max_skips",
    "newcomer_votes",
)
#: What is searched for is found by a learner, which a replay has not; and who asks next is not in recorded votes.
NOT_REPLAYED = (Acquisition.SEARCH, Acquisition.INFORMATION_GAIN)
#: Accuracies whose cost is told, and of the tasks that retired wrongly those in most replays.
REACH = (0.8, 0.85, 0.9, 0.95)
SHOWN_TASKS = 20


class BacktestWaiting(Conflict):
    """This project has a backtest that is not finished yet: wait for its result."""

    code = "backtest_waiting"


def request_backtest(*, project: Project, settings: dict[str, Any]) -> Backtest:
    """Ask what these settings would have made of the project's votes. Raises Invalid, or BacktestWaiting."""
    try:
        asked = replace(policy_of(project), **settings)
    except ValueError as error:
        raise Invalid(str(error), field=str(error).split()[0]) from error
    check_target(asked.label_model, asked.target_confidence, asked.min_votes)
    try:
        with transaction.atomic():
            backtest = Backtest.objects.create(project=project, settings=settings)
            hint_after_commit("aggregation.backtest", project.id)
    except IntegrityError as error:
        raise BacktestWaiting() from error
    backtest.refresh_from_db()
    return backtest


def run_backtest(*, project_id: int) -> Backtest | None:
    """Run the backtest that the project waits for. None if there is none, or another process is at it."""
    with advisory_lock(Lock.BACKTEST, project_id) as mine:
        backtest = Backtest.objects.filter(project=project_id, finished_at__isnull=True).first() if mine else None
        if backtest is None:
            return None
        # One that says running was killed, for nobody else holds the lock.
        unfinished = Backtest.objects.filter(id=backtest.id)
        unfinished.update(status=BacktestStatus.RUNNING, attempts=F("attempts") + 1, progress=0.0)
        try:
            if backtest.attempts >= MOST_ATTEMPTS:
                raise RuntimeError(f"interrupted {backtest.attempts} times")
            project = Project.objects.get(id=project_id)
            result = _compared(
                project, load_votes(project=project), backtest.settings, lambda done: unfinished.update(progress=done)
            )
        except Exception as error:
            unfinished.update(status=BacktestStatus.FAILED, error=reason(error), finished_at=Now())
        else:
            unfinished.update(status=BacktestStatus.DONE, result=result, progress=1.0, finished_at=Now())
    backtest.refresh_from_db()
    return backtest


def policy_of(project: Project) -> Policy:
    """What a project does, as far as a replay follows it: people alone, without its learner."""
    return Policy(
        label_model=project.label_model,
        order=project.order,
        acquisition="entropy" if project.acquisition in NOT_REPLAYED else project.acquisition,
        redundancy=project.redundancy,
        min_votes=project.min_votes,
        target_confidence=project.target_confidence,
    )


def not_followed(project: Project) -> list[str]:
    """The settings that this project uses and a replay leaves out."""
    chosen_otherwise = ["acquisition"] if project.acquisition in NOT_REPLAYED else []
    return chosen_otherwise + [name for name in NOT_FOLLOWED if getattr(project, name)]


def _compared(
    project: Project, loaded: Loaded, settings: dict[str, Any], on_progress: Callable[[float], object]
) -> dict[str, Any]:
    """The project's own settings and those asked about, replayed on the same votes with the same seeds."""
    votes, gold, tasks = _some(loaded.votes, loaded.random_gold)
    if not len(votes):
        raise ValueError("There are no votes to replay yet.")
    ids = loaded.task_ids[tasks]
    known = int((gold >= 0).sum())
    by_gold = known >= ENOUGH_GOLD
    truth = gold if by_gold else LABEL_MODELS[DEFAULT_LABEL_MODEL](votes).label
    # Half of the gold calibrates, as all of it does in the project.
    told = known // 2 if known >= 2 * ENOUGH_GOLD else 0
    now = replace(policy_of(project), gold=told)
    bars = full(votes, truth)

    def figures(policy: Policy, before: float) -> tuple[CostQuality, dict[str, Any]]:
        replays = []
        for seed in range(SEEDS):
            replays.append(replay(votes, truth, policy, seed))
            on_progress(before + (seed + 1) / (2 * SEEDS))
        found = cost_quality(replays, votes, truth, bars)
        wrong = often_wrong(replays, truth, SHOWN_TASKS)
        return found, {
            "settings": {name: value for name, value in asdict(policy).items() if not name.startswith("learner")},
            "votes_used": found.votes_used,
            **found.as_json(),
            "votes_to": [{"accuracy": wanted, "votes_share": cost_of(found, wanted)} for wanted in REACH],
            "retired_wrongly": _told(project, [(int(ids[t]), int(truth[t]), times) for t, times in wrong]),
        }

    curve, as_it_is = figures(now, 0.0)
    return {
        "tasks": votes.n_tasks,
        "votes": len(votes),
        "sampled": len(votes) < len(loaded.votes),
        "scored_by": "gold" if by_gold else "consensus",
        "scored_tasks": int((truth >= 0).sum()) - told,
        "seeds": SEEDS,
        "not_followed": not_followed(project),
        "majority_accuracy": curve.majority,
        "full_accuracy": curve.model,
        "now": as_it_is,
        "what_if": figures(replace(now, **settings), 0.5)[1],
    }


def _told(project: Project, wrong: list[tuple[int, int, int]]) -> list[dict[str, Any]]:
    """Tasks, true labels and numbers of replays, as the API tells them."""
    keys = dict(Task.objects.filter(id__in=[id_ for id_, _, _ in wrong]).values_list("id", "key"))
    return [
        {"task": id_, "key": keys[id_], "true_label": project.labels[label], "replays": times}
        for id_, label, times in wrong
    ]


def _some(votes: Votes, gold: Ints) -> tuple[Votes, Ints, NDArray[np.int64]]:
    """The votes, and gold, of tasks with votes; of those drawn at random, gold first, where there are too many.

    And which tasks they are: int64[n], ascending."""
    many = np.bincount(votes.task, minlength=votes.n_tasks)
    tasks = np.random.default_rng(0).permutation(np.flatnonzero(many))
    tasks = tasks[np.argsort(gold[tasks] < 0, kind="stable")]
    most = int(np.searchsorted(np.cumsum(many[tasks]), MOST_VOTES, side="right"))
    chosen = np.sort(tasks[: max(most, 1)])
    place: NDArray[np.int32] = np.full(votes.n_tasks, -1, np.int32)
    place[chosen] = np.arange(len(chosen), dtype=np.int32)
    rows = place[votes.task] >= 0
    columns = place[votes.task[rows]], votes.annotator[rows], votes.label[rows]
    return Votes(*columns, len(chosen), votes.n_annotators, votes.n_labels), gold[chosen], chosen
