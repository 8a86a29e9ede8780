"""Hierarchical Dawid-Skene, with one kind of tasks or two, its shrinkage estimated from the votes.

Few annotators give enough votes for a confusion matrix of their own, so that each is drawn towards a target that all
of them estimate together:

- `pooled` is the confusion of all votes. Annotator a is right more often, or less, than it says: the log odds of being
  right differ by an ability theta[a] ~ N(0, spread), the same for every label (Rasch, G.: Probabilistic Models for Some
  Intelligence and Attainment Tests, 1960). Errors go where everybody's errors go. That is a's target.
- a's own confusion is drawn from Dirichlet(strength * target), each label's row by itself. strength, in pseudo-votes,
  is the one under which the expected counts are most probable (Dirichlet-multinomial; Minka, T.: Estimating a Dirichlet
  distribution, 2000): large where annotators are alike, small where they differ in ways of their own.

With two kinds there are easy and hard tasks of each label, each kind with pooled confusions and a strength of its own;
abilities are common to both, and every label has the same share of hard tasks unless it is said to have its own.
Votes on one task then agree, or go astray, together, as they do in real crowds: without kinds, many votes on a hard
task count as so much independent evidence, and the posterior is too sure. (A discrete form of the task difficulty of
GLAD: Whitehill, J. et al.: Whose Vote Should Count More, NIPS 2009.)

The targets are estimated in rounds, and held while EM climbs. Within a round the objective is one function, the
penalised log likelihood, and never falls; objectives of different rounds are not comparable. Beyond DENSE_LABELS
labels the level is the model: an accuracy for each annotator and everybody's errors, of one kind.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from aggregation.core.dawid_skene import ASSUMED_ACCURACY, as_fit, assumed_level, pooled_accuracy
from aggregation.core.em import Data, Free, Rates, Reached, Structured, squarem
from aggregation.core.fit import DENSE_LABELS, LIKELIHOOD_FLOOR, Fit, Kinds, Start, check_start, written_out
from aggregation.core.structure import clamp, shares
from aggregation.core.targets import (
    ASSUMED_BY_KIND,
    FIRST_STRENGTH,
    Targets,
    likely_strengths,
    pseudo_votes,
    targets,
    with_gold,
)
from aggregation.core.votes import Cells, Floats, Ints, Votes, check_gold

#: Pseudo-tasks that draw the frequencies of labels and kinds towards even.
PRIOR_WEIGHT = 1.0
ROUNDS = 3
#: The targets need not be known as exactly as the last posterior: earlier rounds stop so much sooner.
ROUGHER = 100.0
#: Pseudo-votes with which an annotator's accuracy is drawn towards everybody's, where it is the model.
ACCURACY_STRENGTH = 5.0


def fit(
    votes: Votes,
    gold: Ints | None = None,
    start: Start | None = None,
    *,
    kinds: int = 1,
    own_share: bool = False,
    ordinal: bool = False,
    tol: float = 1e-7,
    max_iter: int = 200,
) -> Fit:
    """Fit hierarchical Dawid-Skene to votes.

    gold: int32[T], -1 where unknown; known tasks are clamped. start: an earlier posterior f8[T, K] of the same tasks,
    from which the first round begins; or a whole Fit of them with as many kinds, from which EM climbs on under the same
    targets and strengths. Without it every vote is first taken as right with ASSUMED_ACCURACY. kinds: 1, or 2 for easy
    and hard tasks. own_share: every label has its own share of hard tasks. ordinal: labels have an order, and until
    votes say otherwise an error goes half as often to each label farther away. tol: EM has converged when the objective
    rises by less than tol per vote. max_iter: iterations allowed to each round. The Fit's objective and n_iter are
    those of the last round; converged says whether every round did. Raises ValueError on bad gold, start, kinds or
    max_iter.
    """
    if votes.n_labels <= DENSE_LABELS:
        return hierarchy(
            votes, gold, start, kinds=kinds, own_share=own_share, ordinal=ordinal, tol=tol, max_iter=max_iter
        ).as_fit()
    data = _data(votes, gold, kinds, ordinal, max_iter)
    return _by_level(data, _first_posterior(data, start), tol, max_iter)


def hierarchy(
    votes: Votes,
    gold: Ints | None = None,
    start: Start | None = None,
    *,
    kinds: int = 1,
    own_share: bool = False,
    ordinal: bool = False,
    tol: float = 1e-7,
    max_iter: int = 200,
) -> Hierarchy:
    """`fit`, for up to DENSE_LABELS labels, before it is written out."""
    data = _data(votes, gold, kinds, ordinal, max_iter)
    if isinstance(start, Fit) and start.kinds is not None and len(start.kinds.prior) == kinds:
        return _again(data, start, start.kinds, own_share, tol, max_iter)
    posterior, converged = _split(data, _first_posterior(data, start)), True
    strengths = np.array(FIRST_STRENGTH[:kinds])
    for each in range(ROUNDS):
        stage = _stage(data, posterior, own_share, strengths if each == 0 else None)
        near = tol if each == ROUNDS - 1 else ROUGHER * tol
        reached = squarem(data, stage.free, stage.free.count(posterior), near, max_iter)
        posterior, converged = reached.posterior, converged and reached.converged
    return Hierarchy(data, *stage, reached, converged)


def _again(data: Data, before: Fit, kinds: Kinds, own_share: bool, tol: float, max_iter: int) -> Hierarchy:
    """EM under the targets and strengths of an earlier fit: the function that it climbed, with the votes of now."""
    check_start(before, data.votes)
    ability = np.zeros(data.votes.n_annotators)  # who has come since is taken to be like everybody
    known = min(len(ability), len(kinds.ability))
    ability[:known] = kinds.ability[:known]
    K = data.votes.n_labels
    found = Targets(kinds.pooled.transpose(2, 0, 1).reshape(K, -1), ability)
    stage = _Stage(_free(data, found, kinds.strength, own_share), found, kinds.strength)
    reached = squarem(data, stage.free, stage.free.count(_states(data, kinds)), tol, max_iter)
    return Hierarchy(data, *stage, reached, reached.converged)


def _states(data: Data, kinds: Kinds) -> Floats:
    """The states f8[T, C] that an earlier fit left the tasks in; with gold, those of its label."""
    posterior, known = kinds.posterior.reshape(-1, kinds.prior.size).copy(), np.flatnonzero(data.gold >= 0)
    other = np.arange(kinds.prior.size) % data.votes.n_labels != data.gold[known, None]
    posterior[known] = shares(np.where(other, 0.0, np.maximum(posterior[known], LIKELIHOOD_FLOOR)))
    return posterior


def _data(votes: Votes, gold: Ints | None, kinds: int, ordinal: bool, max_iter: int) -> Data:
    if not 1 <= kinds <= len(ASSUMED_BY_KIND) or max_iter < 1:
        raise ValueError(f"kinds is {kinds} and max_iter {max_iter}; expected 1 or 2, and >= 1")
    return Data(votes, check_gold(gold, votes), PRIOR_WEIGHT, kinds, ordinal)


def _first_posterior(data: Data, start: Start | None) -> Floats:
    """f8[T, K] of labels."""
    begin = check_start(start, data.votes)
    if begin is not None:
        return clamp(begin, data.gold)
    return Structured(data, ASSUMED_ACCURACY, 0.0).posterior(assumed_level(data))


def _split(data: Data, posterior: Floats) -> Floats:
    """States f8[T, C] from labels f8[T, K]: the less the votes on a task agree, the harder it is taken to be."""
    if data.kinds == 1:
        return posterior
    per_task = data.votes.per_task()
    agreed = per_task.max(axis=1) / np.maximum(per_task.sum(axis=1), 1.0)
    hard = np.clip(2.0 * (1.0 - agreed), 0.05, 0.95)[:, None]
    return np.concatenate([posterior * (1.0 - hard), posterior * hard], axis=1)


class _Stage(NamedTuple):
    """What is held while EM climbs: the targets, and how strongly confusions are drawn to them, f8[D]."""

    free: Free
    targets: Targets
    strength: Floats


def _stage(data: Data, posterior: Floats, own_share: bool, strength: Floats | None) -> _Stage:
    """Targets, and strengths where none are given, from the states f8[T, C] of the tasks."""
    cells = data.votes.by_task.cells
    _totals, counts = data.steps.free_count(data.votes.by_task, data.gold, posterior)
    found = targets(cells, counts, _everybody(data, counts, posterior), data.ordinal)
    if strength is None:
        strength = likely_strengths(cells, counts, found.of(cells))
    return _Stage(_free(data, found, strength, own_share), found, strength)


def _free(data: Data, found: Targets, strength: Floats, own_share: bool) -> Free:
    K = data.votes.n_labels
    return Free(data, found.of(data.votes.by_task.cells), np.repeat(pseudo_votes(strength, K), K), own_share)


def _everybody(data: Data, counts: Floats, posterior: Floats) -> Floats:
    """Expected votes of everybody f8[K, C] as [voted, state], those on gold counted as often as they deserve."""
    everybody, known = data.votes.by_task.cells.by_label(counts), np.flatnonzero(data.gold >= 0)
    if not known.size:
        return everybody
    return with_gold(everybody, data.votes.per_task()[known], posterior[known], data.gold[known], data.ordinal)


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """Where a fit ended, states and all. Nothing in it is larger than the votes."""

    data: Data
    stage: Free
    targets: Targets
    strength: Floats
    reached: Reached[Rates]
    converged: bool

    def log_likelihood(self) -> float:
        """Of the votes, without their gold."""
        return self.stage.log_likelihood(self.reached.parameters)

    def as_fit(self) -> Fit:
        """Labels from states: posteriors and priors are added up, confusions averaged."""
        data, reached, kinds, K = self.data, self.reached, self.data.kinds, self.data.votes.n_labels
        prior = reached.parameters.prior.reshape(kinds, K)
        by_state = reached.posterior.reshape(-1, kinds, K)
        label_prior, posterior = prior.sum(axis=0), clamp(by_state.sum(axis=1), data.gold)
        by_kind = self._by_kind()
        confusion = None if by_kind is None else np.einsum("adtv,dt->atv", by_kind, prior / label_prior)
        ended = reached.objective, self.converged
        found = as_fit(data, posterior, label_prior, confusion, *ended, pseudo_votes=ACCURACY_STRENGTH)
        if kinds == 1:
            return found
        notes = _notes(prior, confusion is not None)
        if by_kind is None:
            return replace(found, notes=notes)
        everybody = np.ascontiguousarray(self.targets.pooled.reshape(K, kinds, K).transpose(1, 2, 0))
        told_apart = Kinds(
            prior, by_kind, everybody, by_state, self.stage.own_share, self.targets.ability, self.strength
        )
        return replace(found, kinds=told_apart, notes=notes)

    def _by_kind(self) -> Floats | None:
        """Confusions f8[A, D, K, K] as [annotator, kind, true, voted], if they fit."""
        cells: Cells = self.data.votes.by_task.cells
        A, K, kinds = cells.n_annotators, cells.n_labels, self.data.kinds
        if not written_out(A, K, kinds):
            return None
        rates = self.reached.parameters
        confusion = self.targets.everywhere()
        confusion *= rates.shrinkage[:, :, None]
        confusion[cells.annotator, :, cells.label] = rates.likelihood
        return confusion.reshape(A, kinds, K, K)


def _notes(prior: Floats, written: bool) -> tuple[str, ...]:
    """Which model it is; how many tasks are hard, if some are; and whether something is left out."""
    notes = ["Annotators are weighed by what the votes tell of their skill, on easy and on hard tasks."]
    hard = float(prior[1].sum())
    if prior.shape[1] > 1 and hard >= 0.02:
        notes.append(f"About {hard:.0%} of the tasks are of a kind that most people find hard.")
    if not written:
        notes.append("There are too many annotators to write out a confusion for each: later votes go by accuracy.")
    return tuple(notes)


def _by_level(data: Data, posterior: Floats, tol: float, max_iter: int) -> Fit:
    converged = True
    for _ in range(ROUNDS):
        counts = Structured(data, ASSUMED_ACCURACY, 0.0).count(posterior)
        stage = Structured(data, pooled_accuracy(counts), ACCURACY_STRENGTH)
        reached = squarem(data, stage, stage.count(posterior), tol, max_iter)
        posterior, converged = reached.posterior, converged and reached.converged
    level = reached.parameters
    return as_fit(
        data, posterior, level.prior, None, reached.objective, converged, pseudo_votes=ACCURACY_STRENGTH, level=level
    )
