"""What hierarchical Dawid-Skene draws each annotator's confusion towards, and how strongly: both from the votes.

States are kinds of tasks of each label: state c is kind c // K of label c % K. Cells are pairs of an annotator and a
label they voted for (`votes.Cells`), so that nothing here is larger than the votes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from aggregation.core.structure import nearness
from aggregation.core.votes import Cells, Floats, Ints

#: How often all votes on easy and on hard tasks are right, before anything is known, and for how many pseudo-votes.
ASSUMED_BY_KIND = (0.8, 0.55)
POOLED_WEIGHT = 5.0
#: The pooled confusion is drawn towards one in which all labels are recognised equally well, for this share of all
#: votes, spread over its cells. Without it, tasks that tempt everybody come to be a label of their own.
EVEN_SHARE = 0.3
#: In the pooled confusion, gold may count for so many tasks that are only guessed, beyond the one that it is.
GOLD_WEIGHTS = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0)
#: Pseudo-votes by free cell of a confusion, for easy and for hard tasks: in the first round, and those chosen among.
#: Few votes tell of one annotator on hard tasks.
FIRST_STRENGTH = (4.0, 20.0)
STRENGTHS = ((1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0), (4.0, 8.0, 16.0, 32.0, 64.0))
#: Expected counts are smoother than those they stand for: each vote is shared out among several states. So is what
#: they say of the strength.
SHARPER = 0.5
#: How far abilities may spread: variances of log odds to choose among.
SPREADS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
#: Newton's steps towards the most probable abilities: as many as are allowed, the longest, and one that ends them.
ABILITY_STEPS, LONGEST_STEP, SMALLEST_STEP = 12, 1.5, 1e-9
#: Log odds beyond which nobody's ability goes.
MOST_ABILITY = 8.0


@dataclass(frozen=True, eq=False)
class Targets:
    """pooled: f8[K, C] as [voted, state], everybody's confusion; columns sum to 1. ability: f8[A], by how much the log
    odds of being right are higher than everybody's."""

    pooled: Floats
    ability: Floats

    @cached_property
    def accuracy(self) -> Floats:
        """How often each annotator is right in each state, f8[A, C]."""
        if len(self.pooled) == 1:
            return np.ones((len(self.ability), self.pooled.shape[1]))
        return _sigmoid(_log_odds(self.pooled) + self.ability[:, None])

    @cached_property
    def errors(self) -> Floats:
        """Where everybody's errors go, f8[K, C] as [voted, state]; columns sum to 1."""
        K, C = self.pooled.shape
        state, errors = np.arange(C), self.pooled.copy()
        errors[state % K, state] = 0.0
        return np.asarray(errors / np.maximum(errors.sum(axis=0), np.finfo(np.float64).tiny))

    def of(self, cells: Cells) -> Floats:
        """The target of each cell that occurs, f8[R, C]."""
        target = (1.0 - self.accuracy)[cells.annotator]
        target *= self.errors[cells.label]
        for right in _right(cells, self.errors.shape[1]):
            target[right] = self.accuracy[cells.annotator, right[1]]
        return target

    def everywhere(self) -> Floats:
        """The target of every annotator and label, f8[A, C, K] as [annotator, state, voted]: larger than the votes."""
        K, C = self.errors.shape
        state = np.arange(C)
        target = (1.0 - self.accuracy)[:, :, None] * self.errors.T
        target[:, state, state % K] = self.accuracy
        return target


def targets(cells: Cells, counts: Floats, everybody: Floats, ordinal: bool = False) -> Targets:
    """counts: f8[R, C], expected votes of each cell; everybody: f8[K, C] as [voted, state], of all."""
    K, C = everybody.shape
    if K == 1:
        return Targets(np.ones((1, C)), np.zeros(cells.n_annotators))
    pooled = everybody + _even(everybody, ordinal)
    pooled /= pooled.sum(axis=0)
    correct = np.zeros((cells.n_annotators, C))
    for voted in _right(cells, C):
        correct[cells.annotator, voted[1]] = counts[voted]
    return Targets(pooled, _likely_abilities(correct, cells.by_annotator(counts), _log_odds(pooled)))


def with_gold(everybody: Floats, votes: Floats, states: Floats, gold: Ints, ordinal: bool = False) -> Floats:
    """Expected votes of everybody f8[K, C], with those on G tasks with gold counted again.

    Gold is known where the states of other tasks are only guessed, and guessed by a model that may be wrong; but of a
    label that little of it is of, it tells by chance. So its weight is the one under which the votes on each task with
    gold are most probable by the pooled confusion of all other tasks (leave-one-out).

    votes: f8[G, K] of these tasks for each label; states: f8[G, C], where only those of its gold int[G] are possible.
    """
    if len(everybody) == 1:
        return everybody
    on_gold = votes.T @ states
    evidence = [_without_itself(everybody + w * on_gold, 1.0 + w, votes, states, gold, ordinal) for w in GOLD_WEIGHTS]
    return np.asarray(everybody + GOLD_WEIGHTS[int(np.argmax(evidence))] * on_gold)


def _without_itself(
    everybody: Floats, counted: float, votes: Floats, states: Floats, gold: Ints, ordinal: bool
) -> float:
    """Log likelihood of the votes on tasks with gold, each task's by the pooled confusion of the others. counted: how
    often each of these votes is among everybody's."""
    K, rows = len(everybody), np.arange(len(gold))
    pooled, log = everybody + _even(everybody, ordinal), []
    share = 1.0 + states.reshape(len(gold), -1, K).sum(axis=(0, 2))
    for kind, its_share in enumerate(share / share.sum()):
        state = kind * K + gold
        others = pooled[:, state].T - counted * votes * states[rows, state, None]
        others = np.maximum(others, np.finfo(np.float64).tiny)
        log.append(np.log(its_share) + (votes * np.log(others / others.sum(axis=1, keepdims=True))).sum(axis=1))
    return float(np.logaddexp.reduce(log, axis=0).sum())


def _log_odds(pooled: Floats) -> Floats:
    """Of being right in each state, f8[C], from everybody's confusion f8[K, C]."""
    state = np.arange(pooled.shape[1])
    right = np.clip(pooled[state % len(pooled), state], 1e-3, 1.0 - 1e-3)
    return np.asarray(np.log(right / (1.0 - right)))


def _right(cells: Cells, C: int) -> list[tuple[NDArray[np.integer], NDArray[np.integer]]]:
    """For each kind, the row of each cell and the state in which its vote is right."""
    rows = np.arange(len(cells))
    return [(rows, cells.label + first) for first in range(0, C, cells.n_labels)]


def _even(everybody: Floats, ordinal: bool) -> Floats:
    """Pseudo-votes f8[K, C] by which the pooled confusion of each kind is drawn towards an even one: every label is
    recognised equally well, and where an error goes is in proportion to all votes (and, with ordinal labels, halved for
    each label that it skips)."""
    K, C = everybody.shape
    state = np.arange(C)
    true, votes = state % K, everybody.sum(axis=1) + 1.0
    weight, accuracy = np.empty(C), np.empty(C)
    for kind, assumed in enumerate(ASSUMED_BY_KIND[: C // K]):
        its = slice(kind * K, (kind + 1) * K)
        n, right = everybody[:, its].sum(), np.trace(everybody[:, its])
        accuracy[its] = (right + POOLED_WEIGHT * assumed) / (n + POOLED_WEIGHT)
        weight[its] = POOLED_WEIGHT + EVEN_SHARE * n / K**2
    rows = votes[:, None] * (nearness(K)[:, true] if ordinal else 1.0 - np.eye(K)[:, true])
    rows *= (1.0 - accuracy) / rows.sum(axis=0)
    rows[true, state] = accuracy
    return np.asarray(weight * rows)


def _likely_abilities(correct: Floats, total: Floats, log_odds: Floats) -> Floats:
    """The abilities f8[A] under the spread, of SPREADS, under which the votes are most probable (Laplace's
    approximation). correct, total: expected votes f8[A, C]. log_odds: f8[C], everybody's."""
    best, ability = -np.inf, np.zeros(len(total))
    found = ability
    for spread in SPREADS:
        evidence, found = _abilities(correct, total, log_odds, spread, found)
        if evidence > best:
            best, ability = evidence, found
    return ability


def _abilities(
    correct: Floats, total: Floats, log_odds: Floats, spread: float, ability: Floats
) -> tuple[float, Floats]:
    """The log evidence for a spread, but for a constant, and the most probable abilities f8[A], by Newton's method from
    those under another spread."""
    for _ in range(ABILITY_STEPS):
        p = _sigmoid(log_odds + ability[:, None])
        expected = total * p
        slope = (correct - expected).sum(axis=1) - ability / spread
        bend = (expected * (1.0 - p)).sum(axis=1) + 1.0 / spread
        step = np.clip(slope / bend, -LONGEST_STEP, LONGEST_STEP)
        ability = np.clip(ability + step, -MOST_ABILITY, MOST_ABILITY)
        if np.abs(step).max(initial=0.0) < SMALLEST_STEP:
            break
    odds = log_odds + ability[:, None]
    likelihood = (correct * odds - total * np.logaddexp(0.0, odds)).sum()
    return float(likelihood - (np.square(ability) / spread + np.log(spread * bend)).sum() / 2.0), ability


def likely_strengths(cells: Cells, counts: Floats, target: Floats) -> Floats:
    """The strengths f8[D] of the kinds under which counts f8[R, C] around target f8[R, C] are likeliest, sharpened."""
    K, found = cells.n_labels, []
    for kind, choices in enumerate(STRENGTHS[: counts.shape[1] // K]):
        states = slice(kind * K, (kind + 1) * K)
        its_counts, its_target = counts[:, states], target[:, states]
        evidence = [log_evidence(cells, its_counts, its_target, s) for s in pseudo_votes(np.array(choices), K)]
        found.append(SHARPER * choices[int(np.argmax(evidence))])
    return np.array(found)


def pseudo_votes(strength: Floats, n_labels: int) -> Floats:
    """Of a whole row of a confusion, from those of a free cell."""
    return strength * max(n_labels - 1, 1)


def log_evidence(cells: Cells, counts: Floats, target: Floats, strength: float) -> float:
    """log P(counts f8[R, S]) of Dirichlet-multinomials around target f8[R, S] by strength pseudo-votes, but for what
    does not depend on the strength. Labels that an annotator never voted add nothing to it."""
    from scipy.special import gammaln  # slow to import, and no web process asks

    prior = np.maximum(strength * target, 1e-9)
    rows = gammaln(strength) - gammaln(strength + cells.by_annotator(counts))
    return float(rows.sum() + (gammaln(prior + counts) - gammaln(prior)).sum())


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-x)))
