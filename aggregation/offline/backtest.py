"""What policies would have cost on recorded votes: what `manage.py backtest` does."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from aggregation.core.cost_quality import CostQuality, Full, cost_quality, full, often_wrong
from aggregation.core.label_models import DEFAULT_LABEL_MODEL
from aggregation.core.policy import Policy
from aggregation.core.replay import Features, Replayed, Teach, replay
from aggregation.core.votes import Ints, Votes
from aggregation.offline.crowd import Crowd, read_crowd
from aggregation.offline.files import BadFile, Write, check_outputs, format_of, source, write_all
from aggregation.offline.main import Told
from aggregation.offline.policies import policy_name, read_policy
from aggregation.offline.progress import bar, clock
from aggregation.offline.words import count

if TYPE_CHECKING:
    from aggregation.learners import Pupil

REPORTS = {".json": "json", ".html": "html"}
JSON = {".json": "json"}
#: Of the tasks that retired wrongly, those in most replays.
SHOWN_TASKS = 20


@dataclass(frozen=True)
class Wishes:
    """What is asked for: names of files, None where nothing is; policies by name or file."""

    votes: str
    policies: Sequence[str]
    gold: str | None = None
    items: str | None = None
    features: str | None = None
    columns: dict[str, str] = field(default_factory=dict)
    gold_columns: dict[str, str] = field(default_factory=dict)
    seeds: int = 20
    reach: Sequence[float] = (0.8, 0.9, 0.95)
    out: str | None = None
    json: str | None = None


@dataclass(frozen=True, eq=False)
class Backtest:
    """One policy on one crowd. wrong: tasks that retired wrongly, and in how many replays, most first."""

    name: str
    policy: Policy
    curve: CostQuality
    wrong: list[tuple[int, int]]


@dataclass(frozen=True, eq=False)
class Backtested:
    """All of them. gold: whether known answers tell what is right, or only the consensus of all recorded votes.
    warnings: what is odd, a sentence each."""

    dataset: str
    crowd: Crowd
    gold: bool
    truth: Ints
    bars: Full
    seeds: int
    results: list[Backtest]
    warnings: tuple[str, ...]


def backtest(wishes: Wishes) -> Told:
    """Read, replay, write what is asked for, and say what was found. Raises BadFile, before anything is written."""
    from aggregation.offline.backtest_page import write_html
    from aggregation.offline.backtest_report import summary, write_json

    inputs = [wishes.votes, wishes.gold, wishes.items, wishes.features]
    check_outputs([name for name in inputs if name], {"--out": (wishes.out, REPORTS), "--json": (wishes.json, JSON)})
    found = measure(wishes)
    outputs: list[tuple[str, Write]] = []
    if wishes.out:
        page = format_of(wishes.out, REPORTS) == "html"
        outputs.append((wishes.out, partial(write_html if page else write_json, found)))
    if wishes.json:
        outputs.append((wishes.json, partial(write_json, found)))
    write_all(outputs)
    return Told(summary(found, wishes.reach, [name for name, _ in outputs]), found.warnings)


def measure(wishes: Wishes) -> Backtested:
    """Replay all policies on a crowd. Raises BadFile."""
    policies = [(policy_name(name), read_policy(name)) for name in wishes.policies]
    if len({name for name, _ in policies}) < len(policies):
        raise BadFile(f"two policies are called the same ({', '.join(name for name, _ in policies)}); rename a file")
    crowd = read_crowd(
        source(wishes.votes),
        source(wishes.gold) if wishes.gold else None,
        columns=wishes.columns,
        gold_columns=wishes.gold_columns,
    )
    with clock("fitting all votes"):
        truth = _truth(wishes, crowd, policies)
        bars = full(crowd.votes, truth)
    prepared = [(name, *_prepared(wishes, crowd, name, policy)) for name, policy in policies]
    results = []
    for name, policy, pupil in prepared:
        teach, features = (None, None) if pupil is None else (pupil.teach, pupil.features)
        replays = list(run(crowd.votes, truth, policy, range(wishes.seeds), teach, name, features))
        results.append(_backtest(name, policy, replays, crowd.votes, truth, bars))
    unread = [_left_out(name, pupil) for name, _, pupil in prepared if pupil and pupil.left_out]
    odd = _not_used(wishes, [policy for _, policy in policies]) + _too_few(crowd, policies) + unread
    warnings = (*crowd.warnings, *odd)
    dataset, gold = _dataset(wishes.votes), crowd.gold is not None
    return Backtested(dataset, crowd, gold, truth, bars, wishes.seeds, results, warnings)


def _too_few(crowd: Crowd, policies: Sequence[tuple[str, Policy]]) -> list[str]:
    most = int(np.bincount(crowd.votes.task).max(initial=0))
    return [
        f"{name}: redundancy is {policy.redundancy}, but no task has more than {count(most, 'recorded vote')}: what "
        "more would bring, no replay can tell."
        for name, policy in policies
        if policy.redundancy is not None and policy.redundancy > most
    ]


def _not_used(wishes: Wishes, policies: Sequence[Policy]) -> list[str]:
    data = wishes.items or wishes.features
    if data is None or any(policy.learner for policy in policies):
        return []
    return [f"{data} is not used, for no policy has a learner; add a line such as learner: text."]


def _left_out(name: str, pupil: Pupil) -> str:
    many = f"{count(pupil.left_out, 'task')} of {pupil.n_tasks:,}"
    return f"{name}: the learner can't read {many}; they have no prediction."


def run(
    votes: Votes,
    truth: Ints,
    policy: Policy,
    seeds: Sequence[int],
    teach: Teach | None = None,
    name: str = "",
    features: Features | None = None,
) -> Iterator[Replayed]:
    """Replay a policy once for each seed, in their order, as many at a time as there are cores."""
    one = partial(replay, votes, truth, policy, features=features)
    with bar(f"replaying {name}", len(seeds), " replays") as shown:
        if len(seeds) < 2 or teach is not None or (os.cpu_count() or 1) < 2:
            # A learner uses all cores by itself.
            for seed in seeds:
                yield one(seed, teach=teach)
                shown.update()
            return
        with ProcessPoolExecutor(min(os.cpu_count() or 1, len(seeds))) as pool:
            futures = [pool.submit(one, seed) for seed in seeds]
            for future in as_completed(futures):
                future.result()
                shown.update()
            yield from (future.result() for future in futures)


def _backtest(
    name: str, policy: Policy, replays: Sequence[Replayed], votes: Votes, truth: Ints, bars: Full
) -> Backtest:
    wrong = often_wrong(replays, truth, SHOWN_TASKS)
    return Backtest(name, policy, cost_quality(replays, votes, truth, bars), wrong)


def _truth(wishes: Wishes, crowd: Crowd, policies: Sequence[tuple[str, Policy]]) -> Ints:
    """The gold, or without any the consensus of all votes."""
    if crowd.gold is not None:
        known = int((crowd.gold.label >= 0).sum())
        if not known:
            raise BadFile(f"{wishes.gold}: nothing can be scored by it. {crowd.warnings[0]}")
        for name, policy in policies:
            if policy.gold >= known:
                raise BadFile(
                    f"{name}: gold is {policy.gold}; expected fewer than the {known} known answers of --gold: "
                    "those that the policy is not told score it"
                )
        return crowd.gold.label
    for name, policy in policies:
        if policy.gold:
            raise BadFile(f"{name}: gold is {policy.gold}, but no answers are known; give them with --gold")
    from aggregation.core.label_models import LABEL_MODELS

    return LABEL_MODELS[DEFAULT_LABEL_MODEL](crowd.votes).label


def _prepared(wishes: Wishes, crowd: Crowd, name: str, policy: Policy) -> tuple[Policy, Pupil | None]:
    """The policy with its learner, and that on the tasks. Raises BadFile naming what it lacks."""
    if policy.auto_label_error is not None and not policy.learner:
        raise BadFile(f"{name}: auto_label_error is set, but the policy has no learner that could label alone")
    if policy.auto_label_error is not None and policy.audits_by == "experts" and not _all_known(crowd):
        raise BadFile(f"{name}: audits_by is 'experts', who know every answer, but --gold has no answer to some tasks")
    if not policy.learner:
        return policy, None
    from aggregation.offline.learning import known_learner, read_features, read_items

    known_learner(name, policy.learner)
    if wishes.items is None and wishes.features is None:
        raise BadFile(f"{name}: the learner {policy.learner!r} needs the tasks' data: give --items or --features")
    if wishes.items is not None:
        material = read_items(source(wishes.items), crowd.tasks)
    else:
        material = read_features(str(wishes.features), crowd.tasks)
    with clock("reading features"):
        return material.with_learner(policy), material.learnt_by(policy)


def _all_known(crowd: Crowd) -> bool:
    """Without any gold the consensus stands for it."""
    return crowd.gold is None or bool((crowd.gold.label >= 0).all())


def _dataset(name: str) -> str:
    """What a crowd is called: its file's name, or its folder's if all such files are called alike."""
    path = Path(name.removesuffix(".gz"))
    with suppress(OSError):
        if path.stem == "votes" and path.resolve().parent.name:
            return path.resolve().parent.name
    return path.stem
