"""Choosing for the annotator who asks against the queue alone: simulated crowds, paired by seed.

    uv run benchmarks/asking.py [--seeds 20] [--tasks 500] [--crowds a,b] [--json FILE]

A crowd answers one task after the other, whoever comes next drawn at random. The queue is by entropy; "entropy" gives
its first task to whoever asks, "information_gain" that of the first 33 of which this annotator's vote is expected to
tell most (as the service does for one task at a time). Live posteriors, places, the choice and the label model are the
service's own functions; it is refitted after every twentieth of the votes. Who answers what to which task is drawn
beforehand and the same for both.

Crowds of 20, five labels:
- specialists: each tells some labels, half of them on average, with 95 %, and any other with 40 %;
- predicted: the same, and a machine that is right about 70 % of the tasks, and says so;
- alike: each has one accuracy, drawn from Beta(8, 3), whatever the label;
- spammers: as alike, but every fourth answers at random.

Five votes a task are given, and ten to none. Told are the accuracy after so many votes a task, and the votes a task
after which it never again falls below what all five give where tasks come at random; with the paired difference and its
standard error. All of it is simulated.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from aggregation.core import live
from aggregation.core.acquisition import information_gain
from aggregation.core.label_models import LABEL_MODELS
from aggregation.core.policy import DEFAULT
from aggregation.core.prediction import fit_with_predictions
from aggregation.core.queue import Worth, best_for_annotator, places
from aggregation.core.simulation import drawn
from aggregation.core.structure import structured
from aggregation.core.votes import Floats, Ints, Votes

LABELS, ANNOTATORS, REFITS, WINDOW = 5, 20, 20, 33
#: Votes that a task may get, and votes a task that are given in all.
REDUNDANCY, GIVEN = 10, 5
POLICIES = ("entropy", "information_gain")
#: Votes a task at which accuracy is told.
AFTER = (1.0, 2.0, 3.0, 4.0)
Random = np.random.Generator


def specialists(random: Random) -> Floats:
    knows = random.random((ANNOTATORS, LABELS)) < 0.5
    return _even_errors(np.where(knows, 0.95, 0.4))


def alike(random: Random) -> Floats:
    skill = random.beta(8.0, 3.0, ANNOTATORS)
    return structured(skill, (1 - np.eye(LABELS)) / (LABELS - 1))


def spammers(random: Random) -> Floats:
    confusion = alike(random)
    confusion[::4] = 1.0 / LABELS
    return confusion


def _even_errors(accuracy: Floats) -> Floats:
    """Confusions f8[A, K, K] of accuracies f8[A, K] by true label."""
    right = accuracy[:, :, None]
    return np.where(np.eye(LABELS, dtype=bool), right, (1 - right) / (LABELS - 1))


CROWDS: dict[str, Callable[[Random], Floats]] = {
    "specialists": specialists,
    "predicted": specialists,
    "alike": alike,
    "spammers": spammers,
}


def machine(random: Random, truth: Ints, accuracy: float = 0.7) -> Floats:
    """Predictions f8[T, K] of a machine that is right so often, and as sure as that."""
    (confusion,) = structured(np.array([accuracy]), (1 - np.eye(LABELS)) / (LABELS - 1))
    return confusion[drawn(random, confusion[truth])]


class Campaign:
    """A project in the course of its votes.

    answers: int32[A, T], of every annotator to every task. prediction: f8[T, K], if there is a machine.
    """

    def __init__(self, answers: Ints, prediction: Floats | None, policy: str) -> None:
        self.answers, self.prediction, self.policy = answers, prediction, policy
        self.had = np.zeros(answers.shape, np.bool_)
        self.asked: list[tuple[int, int]] = []
        self.refit()

    def ask(self, annotator: int, random: Random | None = None) -> None:
        """One vote of this annotator, if there is a task for them; any task where a random generator is given."""
        open_ = np.flatnonzero(~self.had[annotator] & (self.had.sum(axis=0) < REDUNDANCY))
        if not len(open_):
            return
        first = open_[np.argsort(-self.place[open_], kind="stable")[:WINDOW]]
        task = int(first[0] if random is None else random.choice(open_))
        if self.policy == "information_gain":
            labels = np.arange(LABELS)
            confusion = live.likelihoods(self.fit, np.full(LABELS, annotator), labels).T
            gain = information_gain(self.states[first], confusion, LABELS)
            task = int(first[best_for_annotator(self.place[first], gain)[0]])
        self.had[annotator, task] = True
        self.asked.append((task, annotator))
        likelihood = live.likelihoods(self.fit, np.array([annotator]), self.answers[annotator, [task]])[0]
        self.states[task] = live.one_more_vote(self.states[task], likelihood)
        self._place(np.array([task]))

    def refit(self) -> None:
        task, annotator = np.array(self.asked, np.int32).reshape(-1, 2).T
        columns = task, annotator, self.answers[annotator, task]
        votes = Votes(*map(np.ascontiguousarray, columns), self.answers.shape[1], ANNOTATORS, LABELS)
        name = DEFAULT.label_model  # of one kind of tasks: the states are the labels
        if self.prediction is None:
            self.fit = LABEL_MODELS[name](votes)
            self.states = self.fit.posterior.copy()
        else:
            self.fit = fit_with_predictions(name, votes, None, self.prediction, None)
            priors = live.task_prior(self.fit.label_prior, self.prediction, self.fit.prediction_weight or 0.0)
            self.states = live.with_prior(self.fit.posterior, self.fit.label_prior, priors)
        self.place = np.empty(self.answers.shape[1], np.int64)
        self._place(np.arange(self.answers.shape[1]))

    def _place(self, tasks: Ints) -> None:
        unused = np.zeros((len(tasks), LABELS)), Worth(self.fit.pooled_accuracy, self.fit.pooled_errors)
        found = places("priority", "entropy", self.states[tasks], *unused)
        assert found is not None
        self.place[tasks] = found


def accuracies(answers: Ints, prediction: Floats | None, truth: Ints, policy: str, seed: int) -> Floats:
    """After each refit, f8[REFITS]. policy: one of POLICIES, or "random"."""
    random = np.random.default_rng([seed, 1])
    campaign = Campaign(answers, prediction, policy)
    found = []
    for votes in np.array_split(random.integers(ANNOTATORS, size=GIVEN * len(truth)), REFITS):
        for annotator in votes:
            campaign.ask(int(annotator), random if policy == "random" else None)
        campaign.refit()
        found.append(float((campaign.states.argmax(axis=1) == truth).mean()))
    return np.array(found)


def measure(crowd: str, seeds: int, tasks: int) -> dict[str, Any]:
    """One kind of crowd: figures of both policies and their paired difference."""
    curves: dict[str, list[Floats]] = {policy: [] for policy in (*POLICIES, "random")}
    for seed in range(seeds):
        random = np.random.default_rng([seed, 0])
        confusion, truth = CROWDS[crowd](random), random.integers(LABELS, size=tasks).astype(np.int32)
        answers = drawn(random, confusion[:, truth])
        prediction = machine(random, truth) if crowd == "predicted" else None
        for policy, found in curves.items():
            found.append(accuracies(answers, prediction, truth, policy, seed))
    bars = [curve[-1] for curve in curves["random"]]
    by_seed = {policy: _figures(np.array(curves[policy]), bars) for policy in POLICIES}
    pairs = {key: by_seed["information_gain"][key] - by_seed["entropy"][key] for key in by_seed["entropy"]}
    return {
        "full_accuracy": float(np.mean(bars)),
        **{policy: {key: float(values.mean()) for key, values in by_seed[policy].items()} for policy in POLICIES},
        "difference": {key: float(values.mean()) for key, values in pairs.items()},
        "standard_error": {key: _error(values) for key, values in pairs.items()},
    }


def _figures(curves: Floats, bars: list[float]) -> dict[str, Floats]:
    """By seed, f8[S]. curves: f8[S, REFITS]."""
    after = np.linspace(0, GIVEN, REFITS + 1)[1:]
    at = {f"accuracy_after_{votes:g}": curves[:, int(np.searchsorted(after, votes))] for votes in AFTER}
    needed = [after[_never_below(curve, bar)] for curve, bar in zip(curves, bars, strict=True)]
    return at | {"votes_to_full": np.array(needed)}


def _never_below(curve: Floats, bar: float) -> int:
    """From where on; the last place if it ends below."""
    below = np.flatnonzero(curve < bar)
    return int(min(below[-1] + 1, REFITS - 1)) if len(below) else 0


def _error(values: Floats) -> float | None:
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--tasks", type=int, default=500)
    parser.add_argument("--crowds", type=lambda names: names.split(","), default=list(CROWDS), metavar="A,B")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what is measured to a file")
    options = parser.parse_args()
    report = {
        "simulated": True,
        "crowds": {crowd: measure(crowd, options.seeds, options.tasks) for crowd in options.crowds},
    }
    text = json.dumps(report, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
