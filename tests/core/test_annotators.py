"""Annotators: spammers score 0, people whose votes follow the truth score 1."""

from dataclasses import replace

import numpy as np
import pytest

from aggregation.core import dawid_skene
from aggregation.core.annotators import likelihood, spammer_score
from aggregation.core.fit import DENSE_LABELS
from aggregation.core.simulation import dawid_skene_votes
from aggregation.core.structure import structured

from .strategies import as_votes


def fit_with(confusion):
    """A fit whose annotators have these confusions [A, K, K]."""
    A, K, _ = np.shape(confusion)
    fit = dawid_skene.fit(as_votes([(0, a, 0) for a in range(A)], 1, A, K))
    return replace(fit, confusion=np.array(confusion, dtype=float), label_prior=np.full(K, 1 / K))


def structured_fit(seed):
    votes, _, _ = dawid_skene_votes(seed, 200, 6, DENSE_LABELS + 3, 3, diagonal=40.0)
    fit = dawid_skene.fit(votes)
    assert fit.confusion is None
    return votes, fit, replace(fit, confusion=structured(fit.accuracy, fit.pooled_errors))


def test_spammers_score_0_and_the_always_right_1():
    always_the_same = [[1, 0, 0]] * 3
    at_random = [[1 / 3] * 3] * 3
    by_taste = [[0.2, 0.5, 0.3]] * 3
    scores = spammer_score(fit_with([always_the_same, at_random, by_taste, np.eye(3)]))
    np.testing.assert_allclose(scores, [0, 0, 0, 1], atol=1e-12)


def test_the_score_of_two_labels_is_that_of_raykar_and_yu():
    sensitivity, specificity = np.array([0.9, 0.6, 0.1]), np.array([0.8, 0.4, 0.1])
    confusion = np.stack(
        [np.stack([specificity, 1 - specificity], axis=1), np.stack([1 - sensitivity, sensitivity], axis=1)], axis=1
    )
    np.testing.assert_allclose(spammer_score(fit_with(confusion)), (sensitivity + specificity - 1) ** 2)


def test_the_score_of_more_labels_is_the_mean_over_pairs_of_them():
    _, _, confusion = dawid_skene_votes(3, 5, 4, 4, 2)
    for theta, score in zip(confusion, spammer_score(fit_with(confusion)), strict=True):
        pairs = sum(((theta[c] - theta[d]) ** 2).sum() for c in range(4) for d in range(c))
        assert score == pytest.approx(pairs / (4 * 3))


def test_structured_confusions_score_as_if_written_out():
    _, fit, written_out = structured_fit(1)
    np.testing.assert_allclose(spammer_score(fit), spammer_score(written_out), rtol=1e-9)


def test_structured_confusions_give_the_likelihoods_they_do_written_out():
    votes, fit, written_out = structured_fit(2)
    likely = likelihood(fit, votes.annotator, votes.label)
    np.testing.assert_allclose(likely, likelihood(written_out, votes.annotator, votes.label))
    assert likely[0, 3] == written_out.confusion[votes.annotator[0], 3, votes.label[0]]


def test_a_real_spammer_scores_below_everybody_else():
    random = np.random.default_rng(4)
    truth = random.integers(3, size=200)
    rows = [(t, a, truth[t] if random.random() < 0.8 else random.integers(3)) for t in range(200) for a in range(5)]
    rows += [(t, 5, random.choice(3, p=[0.7, 0.2, 0.1])) for t in range(200)]
    scores = spammer_score(dawid_skene.fit(as_votes(rows, 200, 6, 3)))
    assert scores[5] < 0.05 and scores[:5].min() > 0.4


def test_a_single_label_tells_nothing():
    assert np.isnan(spammer_score(dawid_skene.fit(as_votes([(0, 0, 0), (0, 1, 0)], 1, 2, 1)))).all()
