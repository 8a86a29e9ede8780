"""A project's own votes replayed under its settings and under others, with the learner where that is ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aggregation.core.calibration import ENOUGH_GOLD
from aggregation.core.cost_quality import CostQuality, cost_of, cost_quality, full, often_wrong
from aggregation.core.label_models import DEFAULT_LABEL_MODEL, LABEL_MODELS
from aggregation.core.policy import Policy
from aggregation.core.queue import DOUBTS
from aggregation.core.replay import replay
from aggregation.core.votes import Ints, Votes
from aggregation.services.fitting import Loaded
from projects.models import Learner, Project, Task

if TYPE_CHECKING:
    from aggregation.learners import Pupil

#: Replays of each policy.
SEEDS = 5
#: Of more votes, those of tasks drawn at random: they tell as much, in a minute. A learner is retrained in every
#: replay, so that fewer take some minutes.
MOST_VOTES, MOST_TAUGHT = 20_000, 5_000
#: Tasks whose data are read at a time.
CHUNK = 1_000
#: Settings that a replay does not follow: what they do is not in recorded votes.
NOT_FOLLOWED = ("confirm_above", "gold_share", "max_skips", "target_accuracy")
#: Those of the machine, which a replay follows where the learner is ours: nobody knows what a remote one was taught.
MACHINE = ("learner", "learner_fields", "auto_label_error", "auto_label_confidence", "audit_share")
#: Accuracies whose cost is told, and of the tasks that retired wrongly those in most replays.
REACH = (0.8, 0.85, 0.9, 0.95)
SHOWN_TASKS = 20


def policy_of(project: Project) -> Policy:
    """What a project does, as far as a replay follows it."""
    machine = {name: getattr(project, name) for name in MACHINE} if _has_learner(project) else {}
    if machine:
        machine["learner_fields"] = tuple(project.learner_fields)
    return Policy(
        label_model=project.label_model,
        order=project.order,
        acquisition=project.acquisition if project.acquisition in DOUBTS else "entropy",
        redundancy=project.redundancy,
        min_votes=project.min_votes,
        target_confidence=project.target_confidence,
        flag_below=project.flag_below,
        newcomer_votes=project.newcomer_votes,
        explore_share=project.explore_share,
        **machine,
    )


def _has_learner(project: Project) -> bool:
    return project.learner is not None and project.learner != Learner.REMOTE


def not_followed(project: Project) -> list[str]:
    """The settings that this project uses and a replay leaves out."""
    left_out = [name for name in NOT_FOLLOWED if getattr(project, name) is not None]
    if project.learner == Learner.REMOTE:
        left_out += [name for name in ("learner", "auto_label_error") if getattr(project, name) is not None]
    if project.acquisition not in DOUBTS:
        left_out.append("acquisition")
    return sorted(left_out)


def compare(
    project: Project, loaded: Loaded, settings: dict[str, Any], on_progress: Callable[[float], object]
) -> dict[str, Any]:
    """The project's own settings and those asked about, replayed on the same votes with the same seeds.

    Raises ValueError without a vote, or where the learner can't read the tasks.
    """
    now, asked = policy_of(project), with_settings(policy_of(project), settings)
    learns = bool(now.learner or asked.learner)
    votes, gold, tasks = _some(loaded.votes, loaded.random_gold, MOST_TAUGHT if learns else MOST_VOTES)
    if not len(votes):
        raise ValueError("There are no votes to replay yet.")
    ids = loaded.task_ids[tasks]
    known = int((gold >= 0).sum())
    by_gold = known >= ENOUGH_GOLD
    truth = gold if by_gold else LABEL_MODELS[DEFAULT_LABEL_MODEL](votes).label
    # Half of the gold calibrates, as all of it does in the project.
    told = known // 2 if known >= 2 * ENOUGH_GOLD else 0
    bars = full(votes, truth)

    def figures(policy: Policy, before: float) -> tuple[CostQuality, dict[str, Any]]:
        replays, pupil = [], pupil_of(policy, ids)
        teach, features = (None, None) if pupil is None else (pupil.teach, pupil.features)
        for seed in range(SEEDS):
            replays.append(replay(votes, truth, policy, seed, teach, features))
            on_progress(before + (seed + 1) / (2 * SEEDS))
        found = cost_quality(replays, votes, truth, bars)
        wrong = often_wrong(replays, truth, SHOWN_TASKS)
        return found, {
            "settings": _settings(policy),
            "votes_used": found.votes_used,
            **found.as_json(),
            "disputed_share": found.disputed_share,
            "unreadable": 0 if pupil is None else pupil.left_out,
            "votes_to": [{"accuracy": wanted, "votes_share": cost_of(found, wanted)} for wanted in REACH],
            "retired_wrongly": _told(project, [(int(ids[t]), int(truth[t]), times) for t, times in wrong]),
        }

    curve, as_it_is = figures(replace(now, gold=told), 0.0)
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
        "what_if": figures(replace(asked, gold=told), 0.5)[1],
    }


def with_settings(policy: Policy, settings: dict[str, Any]) -> Policy:
    """The policy with what is asked about. Without a learner nothing is left for the machine to label alone.

    Raises ValueError naming the setting that can't be.
    """
    asked = dict(settings)
    if "learner_fields" in asked:
        asked["learner_fields"] = tuple(asked["learner_fields"])
    if "learner" in asked and asked["learner"] is None:
        asked.setdefault("auto_label_error", None)
    found = replace(policy, **asked)
    if found.learner and not found.learner_fields:
        raise ValueError("learner_fields is empty; expected the fields of the tasks' data that the learner reads")
    if found.auto_label_error is not None and not found.learner:
        raise ValueError("auto_label_error is set, but there is no learner of ours that could label alone")
    return found


def pupil_of(policy: Policy, task_ids: Sequence[int] | NDArray[np.int64]) -> Pupil | None:
    """The policy's learner on these tasks, int64[n] ascending, if it has one. Raises ValueError if too many of them
    can't be read."""
    if policy.learner is None:
        return None
    from aggregation.learners import LEARNERS, Pupil
    from aggregation.learners.encoded import EncodedLearner
    from aggregation.learners.reading import BadRow

    learner = LEARNERS[policy.learner]
    assert isinstance(learner, EncodedLearner), "all of ours are"
    payloads = _fields_of(task_ids, policy.learner_fields)
    try:
        return Pupil.of(learner, payloads, policy.learner_fields)
    except BadRow as bad:
        raise ValueError(f"Too many tasks can't be read; the first is {task_ids[bad.row]}: {bad}") from None


def _fields_of(task_ids: Sequence[int] | NDArray[np.int64], fields: Sequence[str]) -> list[dict[str, Any]]:
    """What a learner reads of the tasks' data, and no more of it, in the order of the ids."""
    found: dict[int, dict[str, Any]] = {}
    for first in range(0, len(task_ids), CHUNK):
        some = [int(id_) for id_ in task_ids[first : first + CHUNK]]
        for id_, data in Task.objects.filter(id__in=some).values_list("id", "data"):
            found[id_] = {field: data[field] for field in fields if field in data}
    return [found.get(int(id_), {}) for id_ in task_ids]


def _settings(policy: Policy) -> dict[str, Any]:
    """All that were replayed: those of the machine where there is one."""
    said = asdict(policy)
    return {name: value for name, value in said.items() if policy.learner or name not in (*MACHINE, "audits_by")}


def _told(project: Project, wrong: list[tuple[int, int, int]]) -> list[dict[str, Any]]:
    """Tasks, true labels and numbers of replays, as the API tells them."""
    keys = dict(Task.objects.filter(id__in=[id_ for id_, _, _ in wrong]).values_list("id", "key"))
    return [
        {"task": id_, "key": keys[id_], "true_label": project.labels[label], "replays": times}
        for id_, label, times in wrong
    ]


def _some(votes: Votes, gold: Ints, most_votes: int) -> tuple[Votes, Ints, NDArray[np.int64]]:
    """The votes, and gold, of tasks with votes; of those drawn at random, gold first, where there are too many.

    And which tasks they are: int64[n], ascending."""
    many = np.bincount(votes.task, minlength=votes.n_tasks)
    tasks = np.random.default_rng(0).permutation(np.flatnonzero(many))
    tasks = tasks[np.argsort(gold[tasks] < 0, kind="stable")]
    most = int(np.searchsorted(np.cumsum(many[tasks]), most_votes, side="right"))
    chosen = np.sort(tasks[: max(most, 1)])
    place: NDArray[np.int32] = np.full(votes.n_tasks, -1, np.int32)
    place[chosen] = np.arange(len(chosen), dtype=np.int32)
    rows = place[votes.task] >= 0
    columns = place[votes.task[rows]], votes.annotator[rows], votes.label[rows]
    return Votes(*columns, len(chosen), votes.n_annotators, votes.n_labels), gold[chosen], chosen
