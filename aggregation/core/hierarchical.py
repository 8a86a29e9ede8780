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

from dataclasses import replace

import numpy as np

from aggregation.core.dawid_skene import ASSUMED_ACCURACY, as_fit, assumed_level, pooled_accuracy
from aggregation.core.em import Climb, Data, Free, Rates, Structured, climb
from aggregation.core.fit import DENSE_LABELS, LIKELIHOOD_FLOOR, Fit, Kinds, check_start
from aggregation.core.structure import clamp
from aggregation.core.votes import Floats, Ints, Votes, check_gold

#: Pseudo-tasks that draw the frequencies of labels and kinds towards even.
PRIOR_WEIGHT = 1.0
ROUNDS = 3
#: The targets need not be known as exactly as the last posterior: earlier rounds stop so much sooner.
ROUGHER = 100.0
#: How often all votes on easy and on hard tasks are right, before anything is known, and for how many pseudo-votes.
ASSUMED_BY_KIND = (0.8, 0.55)
POOLED_WEIGHT = 5.0
#: The pooled confusion is drawn towards one in which all labels are recognised equally well, for this share of all
#: votes, spread over its cells. Without it, tasks that tempt everybody come to be a label of their own.
EVEN_SHARE = 0.3
#: Pseudo-votes by free cell of a confusion, for easy and for hard tasks: in the first round, and those chosen among.
#: Few votes tell of one annotator on hard tasks.
FIRST_STRENGTH = (4.0, 20.0)
STRENGTHS = ((1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0), (4.0, 8.0, 16.0, 32.0, 64.0))
#: Expected counts are smoother than those they stand for: each vote is shared out among several states. So is what
#: they say of the strength.
SHARPER = 0.5
#: Gold is known, and drawn at random: in the pooled confusions it counts for so many tasks that are only guessed.
GOLD_WEIGHT = 5.0
#: Pseudo-votes with which an annotator's accuracy is drawn towards everybody's, where it is the model.
ACCURACY_STRENGTH = 5.0
#: How far abilities may spread: variances of log odds to choose among.
SPREADS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
ABILITY_STEPS = 12


def fit(
    votes: Votes,
    gold: Ints | None = None,
    start: Floats | None = None,
    *,
    kinds: int = 1,
    own_share: bool = False,
    ordinal: bool = False,
    tol: float = 1e-7,
    max_iter: int = 200,
) -> Fit:
    """Fit hierarchical Dawid-Skene to votes.

    gold: int32[T], -1 where unknown; known tasks are clamped. start: f8[T, K], an earlier posterior of the same tasks,
    from which the first round begins; otherwise every vote is first taken as right with ASSUMED_ACCURACY. kinds: 1, or
    2 for easy and hard tasks. own_share: every label has its own share of hard tasks. ordinal: labels have an order,
    and until votes say otherwise an error goes to a label next to the true one twice as often as to one beyond. tol: EM
    has converged when the objective rises by less than tol per vote. max_iter: iterations allowed to each round. The
    Fit's objective and n_iter are those of the last round; converged says whether every round did. Raises ValueError on
    bad gold, start, kinds or max_iter.
    """
    if not 1 <= kinds <= len(ASSUMED_BY_KIND) or max_iter < 1:
        raise ValueError(f"kinds is {kinds} and max_iter {max_iter}; expected 1 or 2, and >= 1")
    data = Data(votes, check_gold(gold, votes), PRIOR_WEIGHT)
    begin = check_start(start, votes)
    cautious = Structured(data, ASSUMED_ACCURACY, 0.0)
    posterior = cautious.posterior(assumed_level(data)) if begin is None else clamp(begin, data.gold)
    if votes.n_labels > DENSE_LABELS:
        return _by_level(data, posterior, tol, max_iter)
    return _by_kinds(data, _split(data, posterior, kinds), kinds, own_share, ordinal, tol, max_iter)


def _by_level(data: Data, posterior: Floats, tol: float, max_iter: int) -> Fit:
    converged = True
    for _ in range(ROUNDS):
        counts = Structured(data, ASSUMED_ACCURACY, 0.0).count(posterior)
        stage = Structured(data, pooled_accuracy(counts), ACCURACY_STRENGTH)
        reached = climb(data, stage, stage.count(posterior), tol, max_iter)
        posterior, converged = reached.posterior, converged and reached.converged
    level = reached.parameters
    return as_fit(
        data, posterior, level.prior, None, reached.objective, converged, pseudo_votes=ACCURACY_STRENGTH, level=level
    )


def _by_kinds(
    data: Data, posterior: Floats, kinds: int, own_share: bool, ordinal: bool, tol: float, max_iter: int
) -> Fit:
    """posterior: f8[T, C] of the states: kind d of label k is state d * K + k."""
    K, converged, strengths = data.votes.n_labels, True, FIRST_STRENGTH[:kinds]
    for each in range(ROUNDS):
        counts = _counts(data, posterior)
        pooled, target = targets(counts, _pooled(data, counts, posterior), kinds, ordinal)
        if each > 0:
            strengths = likely_strengths(counts, target, kinds)
        pseudo_votes = np.repeat(strengths, K) * max(K - 1, 1)
        stage = Free(data, target, pseudo_votes, 1 if own_share else kinds)
        near = tol if each == ROUNDS - 1 else ROUGHER * tol
        reached = climb(data, stage, stage.count(posterior), near, max_iter)
        posterior, converged = reached.posterior, converged and reached.converged
    return _as_fit(data, reached, converged, pooled, kinds)


def _split(data: Data, posterior: Floats, kinds: int) -> Floats:
    """States f8[T, C] from labels f8[T, K]: the less the votes on a task agree, the harder it is taken to be."""
    if kinds == 1:
        return posterior
    per_task = data.votes.per_task()
    agreed = per_task.max(axis=1) / np.maximum(per_task.sum(axis=1), 1.0)
    hard = np.clip(2.0 * (1.0 - agreed), 0.05, 0.95)[:, None]
    return np.concatenate([posterior * (1.0 - hard), posterior * hard], axis=1)


def _counts(data: Data, posterior: Floats) -> Floats:
    """Expected votes f8[A, K, C] as [annotator, voted, state]."""
    _totals, counts = data.steps.free_count(data.votes.by_task, data.gold, posterior)
    return np.asarray(counts.reshape(data.votes.n_annotators, data.votes.n_labels, posterior.shape[1]))


def _pooled(data: Data, counts: Floats, posterior: Floats) -> Floats:
    """Expected votes of everybody f8[K, C] as [voted, state], those on gold counting GOLD_WEIGHT times more."""
    everybody: Floats = counts.sum(axis=0)
    known = np.flatnonzero(data.gold >= 0)
    if known.size:
        everybody = everybody + GOLD_WEIGHT * data.votes.per_task()[known].T @ posterior[known]
    return everybody


def log_likelihood(votes: Votes, found: Fit) -> float:
    """Of the votes, under the kinds of a fit."""
    assert found.kinds is not None
    prior = found.kinds.prior.ravel()
    likelihood = found.kinds.confusion.transpose(0, 3, 1, 2).reshape(-1, len(prior))
    data = Data(votes, np.full(votes.n_tasks, -1, np.int32), PRIOR_WEIGHT)
    likelihood = np.ascontiguousarray(np.maximum(likelihood, LIKELIHOOD_FLOOR))
    return float(data.steps.free_sweep(votes.by_task, data.gold, prior, likelihood)[2])


def targets(counts: Floats, everybody: Floats, kinds: int, ordinal: bool = False) -> tuple[Floats, Floats]:
    """The pooled confusion f8[K, C] and each annotator's target f8[A, K, C], both as […, voted, state].

    counts: f8[A, K, C], expected votes of each annotator; everybody: f8[K, C], of all.
    """
    A, K, C = counts.shape
    if K == 1:
        return np.ones((K, C)), np.ones((A, K, C))
    state = np.arange(C)
    true = state % K
    pooled = everybody + _even(everybody, kinds, ordinal)
    pooled /= pooled.sum(axis=0)
    right = np.clip(pooled[true, state], 1e-3, 1.0 - 1e-3)
    accuracy = _accuracies(counts[:, true, state], counts.sum(axis=1), right)  # f8[A, C]
    errors = pooled.copy()
    errors[true, state] = 0.0
    errors /= np.maximum(errors.sum(axis=0), np.finfo(np.float64).tiny)
    target = (1.0 - accuracy)[:, None, :] * errors
    target[:, true, state] = accuracy
    return pooled, target


def _even(everybody: Floats, kinds: int, ordinal: bool) -> Floats:
    """Pseudo-votes f8[K, C] by which the pooled confusion of each kind is drawn towards an even one: every label is
    recognised equally well, and where an error goes is in proportion to all votes (and, with ordinal labels, halved for
    each label that it skips)."""
    K, C = everybody.shape
    state = np.arange(C)
    true, votes = state % K, everybody.sum(axis=1) + 1.0
    weight, accuracy = np.empty(C), np.empty(C)
    for kind, assumed in enumerate(ASSUMED_BY_KIND[:kinds]):
        its = slice(kind * K, (kind + 1) * K)
        n, right = everybody[:, its].sum(), np.trace(everybody[:, its])
        accuracy[its] = (right + POOLED_WEIGHT * assumed) / (n + POOLED_WEIGHT)
        weight[its] = POOLED_WEIGHT + EVEN_SHARE * n / K**2
    skipped = np.abs(true - np.arange(K)[:, None]) - 1.0
    rows = np.where(skipped < 0, 0.0, votes[:, None] * (0.5**skipped if ordinal else 1.0))
    rows *= (1.0 - accuracy) / rows.sum(axis=0)
    rows[true, state] = accuracy
    return np.asarray(weight * rows)


def _accuracies(correct: Floats, total: Floats, right: Floats) -> Floats:
    """How often each annotator is right in each state, f8[A, C], by ability alone.

    correct, total: expected votes f8[A, C]. right: f8[C], how often everybody is. The spread of abilities is that of
    SPREADS under which the votes are most probable, by Laplace's approximation.
    """
    log_odds = np.log(right / (1.0 - right))
    found = [_abilities(correct, total, log_odds, spread) for spread in SPREADS]
    _evidence, ability = max(found, key=lambda each: each[0])
    return np.asarray(1.0 / (1.0 + np.exp(-(log_odds + ability[:, None]))))


def _abilities(correct: Floats, total: Floats, log_odds: Floats, spread: float) -> tuple[float, Floats]:
    """The log evidence for a spread, but for a constant, and the most probable abilities f8[A], by Newton's method."""
    ability = np.zeros(len(total))
    for _ in range(ABILITY_STEPS):
        p = 1.0 / (1.0 + np.exp(-(log_odds + ability[:, None])))
        slope = (correct - total * p).sum(axis=1) - ability / spread
        bend = (total * p * (1.0 - p)).sum(axis=1) + 1.0 / spread
        ability = np.clip(ability + np.clip(slope / bend, -1.5, 1.5), -8.0, 8.0)
    odds = log_odds + ability[:, None]
    likelihood = (correct * odds - total * np.logaddexp(0.0, odds)).sum()
    return float(likelihood - (np.square(ability) / spread + np.log(spread * bend)).sum() / 2.0), ability


def likely_strengths(counts: Floats, target: Floats, kinds: int) -> tuple[float, ...]:
    """The strength of each kind under which counts f8[A, K, C] are most probable around their target, sharpened."""
    K = counts.shape[1]
    found = []
    for kind, choices in enumerate(STRENGTHS[:kinds]):
        states = slice(kind * K, (kind + 1) * K)
        evidence = [log_evidence(counts[:, :, states], s * max(K - 1, 1) * target[:, :, states]) for s in choices]
        found.append(SHARPER * choices[int(np.argmax(evidence))])
    return tuple(found)


def log_evidence(counts: Floats, pseudo_votes: Floats) -> float:
    """log P(counts) of Dirichlet-multinomials along axis 1, but for what does not depend on the pseudo-votes > 0."""
    from scipy.special import gammaln  # slow to import, and no web process asks

    prior = np.maximum(pseudo_votes, 1e-9)
    rows = gammaln(prior.sum(axis=1)) - gammaln((prior + counts).sum(axis=1))
    return float(rows.sum() + (gammaln(prior + counts) - gammaln(prior)).sum())


def _as_fit(data: Data, reached: Climb[Rates], converged: bool, pooled: Floats, kinds: int) -> Fit:
    """Labels from states: posteriors and priors are added up, confusions averaged."""
    K = data.votes.n_labels
    prior = reached.parameters.prior.reshape(kinds, K)
    by_kind = reached.parameters.confusion.reshape(-1, K, kinds, K).transpose(0, 2, 3, 1)  # [a, kind, true, voted]
    label_prior = prior.sum(axis=0)
    confusion = np.einsum("adtv,dt->atv", by_kind, prior / label_prior)
    states = reached.posterior.reshape(-1, kinds, K)
    posterior = clamp(states.sum(axis=1), data.gold)
    found = as_fit(
        data, posterior, label_prior, confusion, reached.objective, converged, pseudo_votes=ACCURACY_STRENGTH
    )
    if kinds == 1:
        return found
    everybody = np.ascontiguousarray(pooled.reshape(K, kinds, K).transpose(1, 2, 0))
    return replace(found, kinds=Kinds(prior, np.ascontiguousarray(by_kind), everybody, states), notes=_notes(prior))


def _notes(prior: Floats) -> tuple[str, ...]:
    """Which model it is; and how many tasks are hard, if some are."""
    model = "Annotators are weighed by what the votes tell of their skill, on easy and on hard tasks."
    hard = float(prior[1].sum())
    if prior.shape[1] == 1 or hard < 0.02:
        return (model,)
    return (model, f"About {hard:.0%} of the tasks are of a kind that most people find hard.")
