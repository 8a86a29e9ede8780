"""What every label model returns, and what is read off a posterior however it was reached."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aggregation.core.structure import confusion_counts, pooled_level, structured
from aggregation.core.votes import Floats, Ints, Votes

#: Up to this many labels each annotator has a free confusion matrix; beyond, a structured one.
#: 200 x 200 free cells per annotator could never be estimated from an annotator's few hundred votes.
DENSE_LABELS = 16
#: Confusions of more cells than this (400 MB) are not written out either, though they are fitted.
DENSE_CELLS = 50_000_000

#: No vote is ever taken as less likely than this under any label, so that no single vote annihilates a label.
LIKELIHOOD_FLOOR = 1e-10

#: The accuracy of the one pseudo-vote that keeps pooled accuracies away from 0 and 1.
HALF = 0.5
#: The credible interval of a skill leaves out this much on either side.
TAIL = 0.025


@dataclass(frozen=True, eq=False)
class Kinds:
    """D kinds of tasks of each label, which annotators answer differently: easy ones and hard ones, say.

    A task's state is its kind and its label. prior: f8[D, K] of states, sums to 1. confusion: f8[A, D, K, K] as
    [annotator, kind, true, voted], rows sum to 1. pooled: f8[D, K, K], that of an annotator nothing is known about.
    posterior: f8[T, D, K] of states, sums to 1 for each task. own_share: whether labels may differ in how frequent
    their kinds are. ability: f8[A], the log odds by which each annotator is taken to be right more often than pooled
    says, and strength: f8[D], the pseudo-votes by free cell with which their confusions are drawn to that.
    """

    prior: Floats
    confusion: Floats
    pooled: Floats
    posterior: Floats
    own_share: bool
    ability: Floats
    strength: Floats


@dataclass(frozen=True, eq=False)
class Fit:
    """A label model fitted to votes. T tasks, A annotators, K labels.

    posterior: f8[T, K], rows sum to 1. label_prior: f8[K], sums to 1.
    confusion: f8[A, K, K] as [annotator, true, voted], rows sum to 1; None beyond DENSE_LABELS labels or DENSE_CELLS
      cells. Then an annotator's row is accuracy[a] on the diagonal, (1 - accuracy[a]) * pooled_errors[true, voted] off.
    accuracy: f8[A], 0..1. pooled_accuracy: 0..1, that of an annotator nothing is known about.
    pooled_errors: f8[K, K] as [true, voted]: zero diagonal, rows sum to 1: how people err when they err.
    n_iter, converged, objective: how EM went; objective holds one value per iteration and never falls.
    skill_votes: f8[A], >= 0: how many votes of known truth each skill is worth, the model's pseudo-votes included.
    notes: what the model has to say about this fit, a sentence each.
    kinds: the kinds of tasks, if the model tells several apart; label_prior and confusion are then their means. None
      where confusions are not written out.
    aside: bool[A], whose votes are set aside, if anybody's are.
    prediction_weight: if predictions took part (`aggregation.core.prediction`), how far each replaces the label prior,
      and prediction_gain: what they added to the evidence of the votes, in nats a task. posterior, label_prior and
      kinds are without them, as votes alone say with confusions that predictions helped to find.
    """

    posterior: Floats
    label_prior: Floats
    confusion: Floats | None
    accuracy: Floats
    pooled_accuracy: float
    pooled_errors: Floats
    n_iter: int
    converged: bool
    objective: tuple[float, ...]
    skill_votes: Floats
    notes: tuple[str, ...] = ()
    kinds: Kinds | None = None
    aside: NDArray[np.bool_] | None = None
    prediction_weight: float | None = None
    prediction_gain: float | None = None

    @property
    def skill(self) -> Floats:
        """The share of right answers to expect of each annotator, f8[A], 0..1, from the tasks that each had."""
        return self.accuracy

    @property
    def skill_interval(self) -> Floats:
        """Bounds between which each skill lies with 95 % probability, f8[A, 2] as [lower, upper].

        Those of a Beta distribution about `skill` worth `skill_votes` votes, after Jeffreys' prior; always around
        `skill`. Approximate: truth that all annotators err about together is not seen.
        """
        from scipy.special import betaincinv  # slow to import, and no web process asks

        skill = np.clip(self.skill, 0.0, 1.0)
        right, wrong = skill * self.skill_votes + 0.5, (1.0 - skill) * self.skill_votes + 0.5
        lower = np.minimum(betaincinv(right, wrong, TAIL), skill)
        return np.stack([lower, np.maximum(betaincinv(right, wrong, 1.0 - TAIL), skill)], axis=1)

    @property
    def label(self) -> Ints:
        """Most probable label of each task, int32[T]; the lowest index wins a tie."""
        return np.asarray(self.posterior.argmax(axis=1), dtype=np.int32)


def written_out(n_annotators: int, n_labels: int, kinds: int = 1) -> bool:
    """Whether a Fit holds confusions."""
    return n_labels <= DENSE_LABELS and n_annotators * n_labels**2 * kinds <= DENSE_CELLS


#: Where a fit may begin: at an earlier fit of the same tasks, or at its posterior f8[T, K].
Start = Fit | Floats


def check_start(start: Start | None, votes: Votes) -> Floats | None:
    """An earlier posterior as f8[T, K], or None. Raises ValueError unless it holds probabilities of these tasks."""
    if start is None:
        return None
    posterior = np.asarray(start.posterior if isinstance(start, Fit) else start, dtype=np.float64)
    if posterior.shape != (votes.n_tasks, votes.n_labels):
        raise ValueError(f"start has shape {posterior.shape}; expected {(votes.n_tasks, votes.n_labels)}")
    if not (np.isfinite(posterior).all() and (posterior >= 0).all()):
        raise ValueError("start must hold probabilities: finite and not negative")
    return posterior


def known_votes(votes: Votes, posterior: Floats, pseudo_votes: float) -> Floats:
    """How many votes of known truth the votes of each annotator are worth, f8[A], plus pseudo_votes.

    A vote that is right with posterior probability q tells of its annotator's accuracy p what a vote of known truth
    would, less the missing information, the share q (1 - q) / (p (1 - p)). Louis, T. A.: Finding the Observed
    Information Matrix when Using the EM Algorithm, Journal of the Royal Statistical Society B 44(2), 1982,
    doi:10.1111/j.2517-6161.1982.tb01203.x; of one annotator at a time.
    """
    A, q = votes.n_annotators, posterior[votes.task, votes.label]
    total = np.bincount(votes.annotator, minlength=A).astype(np.float64)
    right, doubt = (np.bincount(votes.annotator, each, minlength=A).astype(np.float64) for each in (q, q * (1.0 - q)))
    return worth(total, right, doubt) + pseudo_votes


def worth(total: Floats, right: Floats, doubt: Floats) -> Floats:
    """`known_votes` from each annotator's number of votes and sums of q and q (1 - q), all f8[A]; no pseudo-votes."""
    p = (right + HALF) / (total + 1)
    return np.maximum(total - doubt / (p * (1.0 - p)), 0.0)


def read_off(
    votes: Votes,
    posterior: Floats,
    label_prior: Floats,
    *,
    n_iter: int = 1,
    converged: bool = True,
    objective: tuple[float, ...] = (),
    notes: tuple[str, ...] = (),
) -> Fit:
    """The Fit of a model that has no confusions of its own: they are counted from its posterior f8[T, K].

    Every annotator gets one pseudo-vote at the pooled accuracy: nobody is certain to be right, or wrong, after three
    votes. label_prior: f8[K].
    """
    pooled_accuracy, pooled_errors = pooled_level(votes, posterior, HALF)
    correct = np.bincount(votes.annotator, posterior[votes.task, votes.label], minlength=votes.n_annotators)
    total = np.bincount(votes.annotator, minlength=votes.n_annotators)
    accuracy = (correct + pooled_accuracy) / (total + 1)
    confusion = None
    if written_out(votes.n_annotators, votes.n_labels):
        counts = confusion_counts(votes, posterior) + structured(accuracy, pooled_errors)
        confusion = counts / counts.sum(axis=2, keepdims=True)
    return Fit(
        posterior=posterior,
        label_prior=label_prior,
        confusion=confusion,
        accuracy=accuracy,
        pooled_accuracy=pooled_accuracy,
        pooled_errors=pooled_errors,
        n_iter=n_iter,
        converged=converged,
        objective=objective,
        skill_votes=known_votes(votes, posterior, 1.0),
        notes=notes,
    )
