"""The hierarchical model: how far it shrinks, and what a second kind of tasks is good for."""

from dataclasses import replace

import numpy as np
import pytest

from aggregation.core import hierarchical, live, targets
from aggregation.core.simulation import dawid_skene_votes, drawn
from aggregation.core.votes import Votes


def alike(seed, accuracy=0.7, T=400, A=40, K=3, per_task=5):
    """Everybody is right equally often."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, K, T).astype(np.int32)
    task = np.repeat(np.arange(T, dtype=np.int32), per_task)
    annotator = np.argsort(random.random((T, A)), axis=1)[:, :per_task].ravel().astype(np.int32)
    rows = np.where(np.eye(K, dtype=bool)[truth[task]], accuracy, (1 - accuracy) / (K - 1))
    return Votes(task, annotator, drawn(random, rows), T, A, K), truth


def easy_and_hard(seed, T=600, A=40, per_task=9):
    """Half of the tasks are plain to everybody, the others no better than a guess among three."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 3, T).astype(np.int32)
    hard = random.random(T) < 0.5
    task = np.repeat(np.arange(T, dtype=np.int32), per_task)
    annotator = np.argsort(random.random((T, A)), axis=1)[:, :per_task].ravel().astype(np.int32)
    right = np.where(hard[task], 0.38, 0.95)[:, None]
    rows = np.where(np.eye(3, dtype=bool)[truth[task]], right, (1 - right) / 2)
    return Votes(task, annotator, drawn(random, rows), T, A, 3), truth, hard


def strength_of(votes, truth):
    """The strength that the votes call for, the truth being known."""
    posterior = np.eye(votes.n_labels)[truth]
    counts = np.zeros((votes.n_annotators, votes.n_labels, votes.n_labels))
    np.add.at(counts, (votes.annotator, votes.label, truth[votes.task]), 1.0)
    cells = votes.by_task.cells
    counts = counts[cells.annotator, cells.label]
    target = targets.targets(cells, counts, votes.per_task().T @ posterior).of(cells)
    return targets.likely_strengths(cells, counts, target)[0]


def test_annotators_who_are_alike_are_shrunk_the_most_and_others_hardly():
    assert strength_of(*alike(1)) == targets.SHARPER * targets.STRENGTHS[0][-1]
    votes, truth, _ = dawid_skene_votes(3, 800, 30, 3, 6, diagonal=1.5)
    assert strength_of(votes, truth) <= targets.SHARPER * targets.STRENGTHS[0][2]


def test_it_finds_how_often_annotators_who_are_alike_are_right():
    votes, _truth = alike(2)
    fit = hierarchical.fit(votes)
    assert fit.accuracy.std() < 0.05
    assert abs(fit.accuracy.mean() - 0.7) < 0.03


def test_two_kinds_tell_hard_tasks_from_easy_ones_and_are_less_sure_of_them():
    votes, truth, hard = easy_and_hard(4)
    one, two = (hierarchical.fit(votes, kinds=kinds) for kinds in (1, 2))
    assert 0.35 < two.kinds.prior[1].sum() < 0.65
    right = np.einsum("dkk->d", two.kinds.pooled) / 3
    assert right[0] > 0.85 and right[1] < 0.6

    def excess(fit):
        """How much more sure of the hard tasks than right about them."""
        return (fit.posterior.max(axis=1) - (fit.label == truth))[hard].mean()

    assert excess(two) < 0.7 * excess(one)


def test_labels_priors_and_confusions_are_the_means_over_kinds():
    votes, _, _ = easy_and_hard(5)
    fit = hierarchical.fit(votes, kinds=2)
    np.testing.assert_allclose(fit.kinds.prior.sum(axis=0), fit.label_prior)
    np.testing.assert_allclose(fit.kinds.confusion.sum(axis=3), 1.0)
    np.testing.assert_allclose(fit.kinds.pooled.sum(axis=2), 1.0)
    share = fit.kinds.prior / fit.label_prior
    np.testing.assert_allclose(np.einsum("adtv,dt->atv", fit.kinds.confusion, share), fit.confusion)


def test_gold_weighs_more_in_how_everybody_errs_than_tasks_that_are_guessed():
    """People err otherwise on the tasks with gold: the pooled confusion is drawn to what they do there."""
    random = np.random.default_rng(6)
    truth = random.integers(0, 2, 400).astype(np.int32)
    task, annotator = np.repeat(np.arange(400, dtype=np.int32), 5), np.tile(np.arange(5, dtype=np.int32), 400)
    accuracy = np.where(task < 40, 0.6, 0.9)
    label = np.where(random.random(2000) < accuracy, truth[task], 1 - truth[task]).astype(np.int32)
    votes = Votes(task, annotator, label, 400, 5, 2)
    fit = hierarchical.fit(votes, np.where(np.arange(400) < 40, truth, -1).astype(np.int32), kinds=2)
    pooled = np.einsum("dt,dtt->", fit.kinds.prior, fit.kinds.pooled)
    assert pooled < 0.84  # of all votes 0.87 are right


@pytest.mark.parametrize("wrong", [{"kinds": 0}, {"kinds": 3}, {"max_iter": 0}])
def test_bad_settings_are_refused_by_name(wrong):
    with pytest.raises(ValueError, match="kinds is .* and max_iter"):
        hierarchical.fit(alike(1)[0], **wrong)


def few_votes_of_many(seed=0, A=500, K=8):
    """Each of many annotators gives three votes: most labels they never vote for."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, K, 300).astype(np.int32)
    annotator = np.repeat(np.arange(A, dtype=np.int32), 3)
    task = random.permutation(np.arange(3 * A) % 300).astype(np.int32)
    rows = np.where(np.eye(K, dtype=bool)[truth[task]], 0.7, 0.3 / (K - 1))
    return Votes(task, annotator, drawn(random, rows), 300, A, K), truth


def test_tables_are_no_larger_than_the_votes_and_say_what_full_ones_would():
    votes, _truth = few_votes_of_many()
    found = hierarchical.hierarchy(votes, kinds=2)
    stage, rates = found.stage, found.reached.parameters
    cells, strength = votes.by_task.cells, stage.strength
    assert len(rates.likelihood) == len(cells) < len(votes)
    # The same M-step and penalty with every label written out.
    pseudo_votes = strength[:, None] * found.targets.everywhere()

    def in_full(rates):
        confusion = replace(found, reached=replace(found.reached, parameters=rates))._by_kind()
        return confusion.reshape(pseudo_votes.shape)

    expected = stage.count(found.reached.posterior)
    full = pseudo_votes.copy()
    full[cells.annotator, :, cells.label] += expected[1]
    full /= full.sum(axis=2, keepdims=True)
    np.testing.assert_allclose(in_full(stage.m_step(expected)), full)

    unprejudiced = replace(stage, data=replace(found.data, prior_weight=0.0))

    def constant(rates):
        penalty = unprejudiced.e_step(rates)[1] - stage.log_likelihood(rates)
        return penalty - (pseudo_votes * np.log(in_full(rates))).sum()

    other = stage.m_step(stage.count(np.full_like(found.reached.posterior, 1 / 16)))
    assert constant(rates) == pytest.approx(constant(other), rel=1e-9)


def test_confusions_that_would_not_fit_are_not_written_out(monkeypatch):
    votes, truth = few_votes_of_many()
    whole = hierarchical.fit(votes, kinds=2)
    monkeypatch.setattr("aggregation.core.fit.DENSE_CELLS", 500 * 64 * 2 - 1)
    fit = hierarchical.fit(votes, kinds=2)
    assert fit.confusion is None and fit.kinds is None and "too many annotators" in fit.notes[-1]
    assert (fit.posterior == whole.posterior).all() and (fit.accuracy == whole.accuracy).all()
    voted = votes.label[:50]
    rows = live.likelihoods(fit, votes.annotator[:50], voted)
    assert (rows.argmax(axis=1) == voted).mean() > 0.9
    assert live.more_votes(live.states(fit), votes.task[:50], rows)[1].sum(axis=1) == pytest.approx(1.0)


def ordered(seed, K=24, T=300, A=30, per_task=3):
    """Many labels in an order; an error goes half as often to each label farther away."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, K, T).astype(np.int32)
    task = np.repeat(np.arange(T, dtype=np.int32), per_task)
    annotator = np.argsort(random.random((T, A)), axis=1)[:, :per_task].ravel().astype(np.int32)
    away = np.abs(np.arange(K) - truth[task][:, None])
    errors = np.where(away > 0, 0.5**away, 0.0)
    right = random.beta(5, 5, A)[annotator, None]
    rows = np.where(away == 0, right, (1 - right) * errors / errors.sum(axis=1, keepdims=True))
    return Votes(task, annotator, drawn(random, rows), T, A, K), truth


def test_the_order_of_many_labels_tells_where_errors_go():
    right = []
    for seed in range(4):
        votes, truth = ordered(seed)
        named, in_order = (hierarchical.fit(votes, ordinal=ordinal) for ordinal in (False, True))
        right.append([(fit.label == truth).mean() for fit in (named, in_order)])
        assert (np.diff(in_order.objective) >= -1e-7).all()
        near = np.abs(np.subtract.outer(np.arange(24), np.arange(24))) == 1
        assert in_order.pooled_errors[near].sum() > named.pooled_errors[near].sum()
    assert np.diff(np.mean(right, axis=0)) > 0.02


def gold_votes(seed, confusion, G=60, per_task=5):
    """The votes f8[G, K] on tasks with gold, its states (one kind) and the gold."""
    random = np.random.default_rng(seed)
    gold = random.integers(0, len(confusion), G)
    votes = np.array([random.multinomial(per_task, confusion[label]) for label in gold], dtype=np.float64)
    return votes, np.eye(len(confusion))[gold], gold


def weight_of(everybody, votes, states, gold):
    more = targets.with_gold(everybody, votes, states, gold) - everybody
    return more.sum() / votes.sum()


def test_gold_that_contradicts_what_is_guessed_counts_much():
    truly = np.array([[0.8, 0.1, 0.1], [0.4, 0.5, 0.1], [0.1, 0.1, 0.8]])
    tasks = gold_votes(0, truly)
    wrongly = 1000.0 * truly[:, [0, 2, 1]].T
    assert weight_of(wrongly, *tasks) == max(targets.GOLD_WEIGHTS)


def test_gold_that_contradicts_itself_counts_no_more_than_it_does():
    confusion = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])
    votes = np.array([[5.0, 0, 0], [0, 0, 5], [0, 5, 0], [5, 0, 0]])
    gold = np.array([0, 1, 1, 2])
    assert weight_of(200.0 * confusion, votes, np.eye(3)[gold], gold) == 0


def test_a_gold_task_does_not_speak_for_itself():
    votes, states, gold = gold_votes(1, np.full((3, 3), 1 / 3), G=6)
    everybody, weight = np.full((3, 3), 20.0) + votes.T @ states, 5.0
    expected = 0.0
    for task in range(6):
        others = [each for each in range(6) if each != task]
        pooled = everybody + weight * votes.T @ states
        pooled = pooled + targets._even(pooled, False) - (1 + weight) * np.outer(votes[task], states[task])
        again = (1 + weight) * votes[others].T @ states[others] + np.full((3, 3), 20.0)
        again += targets._even(everybody + weight * votes.T @ states, False)
        np.testing.assert_allclose(pooled, again)
        column = again[:, gold[task]]
        expected += (votes[task] * np.log(column / column.sum())).sum()
    found = targets._without_itself(everybody + weight * votes.T @ states, 1 + weight, votes, states, gold, False)
    assert found == pytest.approx(expected)


def test_gold_without_votes_changes_no_confusion():
    votes, states, gold = gold_votes(2, np.full((3, 3), 1 / 3))
    everybody = np.full((3, 3), 50.0)
    np.testing.assert_array_equal(targets.with_gold(everybody, 0 * votes, states, gold), everybody)
