"""Ambiguity: a task between two labels is told from a hard one, and both from ordinary error."""

import itertools
import math

import numpy as np
import pytest

from aggregation.core import ambiguity as module
from aggregation.core import hierarchical
from aggregation.core.ambiguity import GUESSES, SPLITS, ambiguous
from aggregation.core.simulation import dawid_skene_votes, drawn
from aggregation.core.votes import Votes
from benchmarks import datasets

from .strategies import as_votes

CLEAR, HARD, AMBIGUOUS = range(3)


def planted(seed, n_labels, votes_per_task, n_tasks=600):
    """Votes, and the kind and the two labels of each task: one in ten is hard, one in ten ambiguous."""
    votes, truth, confusion = dawid_skene_votes(
        seed, n_tasks, 30, n_labels, votes_per_task, diagonal=3.0 * n_labels + 4.0
    )
    random = np.random.default_rng(seed + 100)
    kind = random.choice(3, size=n_tasks, p=[0.8, 0.1, 0.1])
    other = (truth + random.integers(1, n_labels, size=n_tasks)) % n_labels
    torn = (kind[votes.task] == AMBIGUOUS) & (random.random(len(votes)) < 0.5)
    label = drawn(random, confusion[votes.annotator, np.where(torn, other[votes.task], truth[votes.task])])
    guessed = (kind[votes.task] == HARD) & (random.random(len(votes)) < 0.8)
    label = np.where(guessed, random.integers(n_labels, size=len(votes)), label)
    pair = np.sort(np.stack([truth, other]), axis=0)
    return Votes(votes.task, votes.annotator, label, n_tasks, 30, n_labels), kind, pair


@pytest.mark.parametrize("n_labels", [4, 8, 20])
def test_tasks_between_two_labels_are_told_from_hard_ones(n_labels):
    votes, kind, pair = planted(1, n_labels, 20)
    found = ambiguous(votes, hierarchical.fit(votes))
    called = found.probability > 0.5
    assert called[kind == AMBIGUOUS].mean() > 0.75
    assert called[kind == HARD].mean() < 0.15
    assert called[kind == CLEAR].mean() < 0.01
    assert (found.hard > 0.5)[kind == HARD].mean() > 0.6
    right = (found.first == pair[0]) & (found.second == pair[1])
    assert right[kind == AMBIGUOUS].mean() > 0.95
    np.testing.assert_allclose(found.share, [0.8, 0.1, 0.1], atol=0.04)


def test_of_two_labels_a_split_is_all_that_shows():
    votes, kind, _ = planted(2, 2, 20)
    found = ambiguous(votes, hierarchical.fit(votes))
    assert (found.hard == 0).all()
    assert (found.probability > 0.5)[kind != CLEAR].mean() > 0.75
    assert (found.probability > 0.5)[kind == CLEAR].mean() < 0.01


def test_on_a_real_crowd_consensus_is_often_wrong_where_annotators_split_and_seldom_elsewhere():
    bluebird = datasets.load(datasets.BLUEBIRD)
    fit = hierarchical.fit(bluebird.votes)
    called = ambiguous(bluebird.votes, fit).probability > 0.5
    right = fit.label == bluebird.gold
    assert 5 <= called.sum() <= 20
    assert fit.posterior[called].max(axis=1).mean() > 0.9  # by its own account the fit is sure of them
    assert right[called].mean() < 0.75 and right[~called].mean() > 0.9


@pytest.mark.parametrize("votes_per_task", [3, 10])
def test_ordinary_error_is_not_ambiguity(votes_per_task):
    for seed in range(4):
        votes, _, _ = dawid_skene_votes(seed, 500, 30, 4, votes_per_task, diagonal=8.0)
        assert (ambiguous(votes, hierarchical.fit(votes)).probability > 0.5).mean() < 0.005


def test_the_probabilities_are_the_formula_spelt_out():
    votes, _, _ = dawid_skene_votes(5, 25, 6, 3, 5)
    fit = hierarchical.fit(votes)
    found = ambiguous(votes, fit)
    for task in range(25):
        rows = np.flatnonzero(votes.task == task)
        evidence = found.share * slow_evidence(votes.annotator[rows], votes.label[rows], fit)
        assert found.hard[task] == pytest.approx(evidence[HARD] / evidence.sum(), rel=1e-6)
        assert found.probability[task] == pytest.approx(evidence[AMBIGUOUS] / evidence.sum(), rel=1e-6)


def slow_evidence(annotators, labels, fit):
    pi, K = fit.label_prior, len(fit.label_prior)
    theta = np.array([fit.confusion[a, :, v] for a, v in zip(annotators, labels, strict=True)])
    guess = theta @ pi
    clear = sum(pi[k] * math.prod(theta[:, k]) for k in range(K))
    levels = [sum(pi[k] * math.prod((1 - d) * theta[:, k] + d * guess) for k in range(K)) for d in GUESSES]
    voted = [pair for pair in itertools.combinations(range(K), 2) if set(pair) <= set(labels.tolist())]
    splits = [sum(math.prod(s * theta[:, i] + (1 - s) * theta[:, j]) for i, j in voted) for s in SPLITS]
    return np.array([clear, np.mean(levels), np.mean(splits) / math.comb(K, 2)])


def test_a_task_whose_votes_agree_is_not_ambiguous():
    rows = [(t, a, t % 3) for t in range(10) for a in range(12)] + [(10, a, a % 2) for a in range(12)]
    votes = as_votes(rows, 12, 12, 3)
    found = ambiguous(votes, hierarchical.fit(votes))
    assert (found.probability[:10] == 0).all() and found.probability[11] == 0
    assert found.first[:10].tolist() == found.second[:10].tolist() == [-1] * 10
    assert found.probability[10] > 0.5
    assert (found.first[10], found.second[10]) == (0, 1)


def test_tasks_that_nobody_compared_say_nothing_about_the_kinds():
    votes, _, _ = planted(6, 4, 20, n_tasks=200)
    fit = hierarchical.fit(votes)
    single = Votes(
        np.concatenate([votes.task, np.arange(200, 300)]),
        np.concatenate([votes.annotator, np.arange(100) % 30]),
        np.concatenate([votes.label, np.arange(100) % 4]),
        400, 30, 4,
    )  # fmt: skip
    np.testing.assert_allclose(ambiguous(single, fit).share, ambiguous(votes, fit).share, rtol=1e-9)


def test_votes_in_parts_give_the_same(monkeypatch):
    votes, _, _ = planted(3, 4, 6, n_tasks=80)
    fit = hierarchical.fit(votes)
    whole = ambiguous(votes, fit)
    monkeypatch.setattr(module, "ROOM", 300)
    parts = ambiguous(votes, fit)
    for name in ("probability", "hard", "first", "second", "share"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-9)


def test_the_order_of_votes_and_repeats_after_the_first_do_not_matter():
    votes, _, _ = planted(4, 4, 6, n_tasks=80)
    fit = hierarchical.fit(votes)
    rows = np.random.default_rng(0).permutation(len(votes))
    columns = [
        np.concatenate([column[rows], column[rows[:9]]]) for column in (votes.task, votes.annotator, votes.label)
    ]
    columns[2][-9:] = (columns[2][-9:] + 1) % 4
    shuffled = Votes(*columns, votes.n_tasks, votes.n_annotators, votes.n_labels)
    np.testing.assert_array_equal(ambiguous(shuffled, fit).probability, ambiguous(votes, fit).probability)


@pytest.mark.parametrize(
    ("rows", "n_labels"),
    [
        ([], 3),
        ([(t, 0, t % 2) for t in range(3)], 3),  # one annotator
        ([(t, a, 0) for t in range(3) for a in range(2)], 1),  # one label
        ([(0, 0, 0), (0, 0, 1)], 3),  # one annotator, who repeats a task
    ],
)
def test_without_disagreement_nothing_is_ambiguous(rows, n_labels):
    votes = as_votes(rows, 3, 2, n_labels)
    found = ambiguous(votes, hierarchical.fit(votes))
    assert (found.probability == 0).all()
    assert (found.first == -1).all() and (found.second == -1).all()
    assert found.share.sum() == pytest.approx(1.0)
