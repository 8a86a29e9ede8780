"""The vote path's arithmetic agrees with a refit's."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregation.core import live
from aggregation.core.fit import DENSE_LABELS
from aggregation.core.label_models import DEFAULT_LABEL_MODEL, LABEL_MODELS
from aggregation.core.simulation import dawid_skene_votes
from aggregation.core.votes import Votes


@pytest.mark.parametrize("name", ["dawid_skene", "hierarchical_dawid_skene", "difficulty_dawid_skene", "auto"])
@pytest.mark.parametrize("n_labels", [2, 10, DENSE_LABELS + 9])
@pytest.mark.parametrize("weight", [None, 0.0, 0.6, 1.0])
def test_a_live_recomputation_agrees_with_a_refit(name, n_labels, weight):
    votes, _, _ = dawid_skene_votes(7, 80, 9, n_labels, 4, diagonal=8.0)
    fit = LABEL_MODELS[name](votes, None)
    prediction = None if weight is None else np.random.default_rng(0).dirichlet(np.ones(n_labels), 80)
    priors = np.broadcast_to(live.task_prior(fit.label_prior, prediction, weight or 0.0), (80, n_labels))
    published = live.with_prior(fit.posterior, fit.label_prior, priors)
    for task in range(80):
        mine = np.flatnonzero(votes.task == task)
        likelihoods = np.array([likelihood_of(fit, votes, row) for row in mine])
        one = live.task_prior(fit.label_prior, None if prediction is None else prediction[task], weight or 0.0)
        np.testing.assert_allclose(live.posterior(one, likelihoods, shares_of(fit)), published[task], atol=1e-9)


def shares_of(fit):
    return None if fit.kinds is None else live.kind_shares(fit.kinds.prior)


def likelihood_of(fit, votes, row):
    annotator, voted = votes.annotator[row], int(votes.label[row])
    vector = None if fit.confusion is None else fit.confusion[annotator, :, voted]
    if fit.kinds is not None:
        vector = fit.kinds.confusion[annotator, :, :, voted].ravel()
    accuracy, column = float(fit.accuracy[annotator]), fit.pooled_errors[:, voted]
    return live.vote_likelihood(voted, votes.n_labels, vector, accuracy, fit.pooled_accuracy, column)


@pytest.mark.parametrize("n_labels", [2, 4])
def test_states_are_replaced_with_their_label_prior_and_not_with_their_kind(n_labels):
    """A prediction says what label a task has; how hard it is, the votes say."""
    votes, _, _ = dawid_skene_votes(3, 60, 9, n_labels, 5, diagonal=2.0)
    fit = LABEL_MODELS["difficulty_dawid_skene"](votes, None)
    priors = np.random.default_rng(0).dirichlet(np.ones(n_labels), 60)
    within = fit.kinds.posterior * (priors / fit.label_prior)[:, None, :]
    within /= within.sum(axis=(1, 2), keepdims=True)
    published = live.with_prior(fit.posterior, fit.label_prior, priors)
    np.testing.assert_allclose(published, within.sum(axis=1), atol=1e-12)


@pytest.mark.parametrize("name", ["hierarchical_dawid_skene", "difficulty_dawid_skene"])
@pytest.mark.parametrize("n_labels", [1, 3, DENSE_LABELS + 4])
def test_later_votes_one_by_one_at_once_or_recomputed_say_the_same(name, n_labels):
    votes, _, _ = dawid_skene_votes(7, 60, 9, n_labels, 4, diagonal=8.0)
    fit = LABEL_MODELS[name](votes, None)
    random = np.random.default_rng(0)
    task, annotator, voted = (
        random.integers(60, size=90),
        random.integers(-1, 9, size=90),
        random.integers(n_labels, size=90),
    )
    likelihoods = live.likelihoods(fit, annotator, voted)
    states = live.states(fit)
    before = states.copy()
    touched, rows = live.more_votes(states, task, likelihoods)
    assert touched.tolist() == sorted(set(task.tolist())) and np.array_equal(states, before)
    one_by_one = states.copy()
    for vote in range(90):
        alone = likelihood_of_anybody(fit, int(annotator[vote]), int(voted[vote]))
        np.testing.assert_allclose(likelihoods[vote], alone, rtol=1e-12)
        one_by_one[task[vote]] = live.one_more_vote(one_by_one[task[vote]], alone)
    np.testing.assert_allclose(rows, one_by_one[touched], atol=1e-12)
    np.testing.assert_allclose(live.labels(rows, n_labels), live.labels(one_by_one, n_labels)[touched], atol=1e-12)
    for row, t in zip(live.labels(rows, n_labels), touched, strict=True):
        mine = np.flatnonzero(votes.task == t)
        known = [likelihood_of_anybody(fit, int(votes.annotator[v]), int(votes.label[v])) for v in mine]
        recomputed = live.posterior(fit.label_prior, np.array(known + list(likelihoods[task == t])), shares_of(fit))
        np.testing.assert_allclose(row, recomputed, atol=1e-9)


def likelihood_of_anybody(fit, annotator, voted):
    """annotator: -1 for somebody whom the fit has not seen."""
    K = len(fit.label_prior)
    unknown = annotator < 0
    if fit.kinds is not None:
        vector = (fit.kinds.pooled if unknown else fit.kinds.confusion[annotator])[:, :, voted].ravel()
    else:
        vector = None if fit.confusion is None or unknown else fit.confusion[annotator, :, voted]
    accuracy = None if unknown else float(fit.accuracy[annotator])
    return live.vote_likelihood(voted, K, vector, accuracy, fit.pooled_accuracy, fit.pooled_errors[:, voted])


@pytest.mark.parametrize("n_labels", [1, 2, 3])
def test_nothing_at_all_is_fitted_too(n_labels):
    none = np.array([], dtype=np.int32)
    fit = LABEL_MODELS[DEFAULT_LABEL_MODEL](Votes(none, none, none, 0, 0, n_labels), none)
    assert live.labels(live.states(fit), n_labels).shape == (0, n_labels)
    assert live.likelihoods(fit, np.array([-1]), np.array([0])).shape[1] % n_labels == 0


def test_without_kinds_the_states_are_the_labels():
    votes, _, _ = dawid_skene_votes(7, 10, 3, 3, 2)
    fit = LABEL_MODELS["dawid_skene"](votes, None)
    assert live.states(fit) is fit.posterior and live.labels(fit.posterior, 3) is fit.posterior


def test_no_more_votes_touch_no_task():
    votes, _, _ = dawid_skene_votes(7, 10, 3, 3, 2)
    fit = LABEL_MODELS[DEFAULT_LABEL_MODEL](votes, None)
    none = np.array([], dtype=np.int32)
    touched, rows = live.more_votes(live.states(fit), none, live.likelihoods(fit, none, none))
    assert touched.shape == (0,) and live.labels(rows, 3).shape == (0, 3)


@pytest.mark.parametrize(("annotator", "voted"), [(-2, 0), (3, 0), (0, -1), (0, 3)])
def test_a_vote_by_nobody_or_for_nothing_is_refused(annotator, voted):
    votes, _, _ = dawid_skene_votes(7, 10, 3, 3, 2)
    fit = LABEL_MODELS[DEFAULT_LABEL_MODEL](votes, None)
    with pytest.raises(IndexError, match="annotators must be -1..2 and labels 0..2"):
        live.likelihoods(fit, np.array([annotator]), np.array([voted]))


def test_gold_stays_certain_whatever_is_voted():
    touched, rows = live.more_votes(np.array([[0.0, 1.0]]), np.array([0, 0]), np.array([[1.0, 1e-10], [1.0, 1e-10]]))
    assert rows.tolist() == [[0.0, 1.0]]


def test_drift_counts_other_labels_and_measures_distance():
    drift = live.drift(
        np.array([[0.6, 0.4], [0.5, 0.5], [1.0, 0.0], [0.2, 0.8]]),
        np.array([[0.4, 0.6], [0.5, 0.5], [1.0, 0.0], [0.0, 1.0]]),
    )
    assert (drift.tasks, drift.relabelled) == (4, 0.25)
    np.testing.assert_allclose([drift.mean_distance, drift.max_distance], [0.1, 0.2])
    assert live.drift(np.empty((0, 2)), np.empty((0, 2))) == live.Drift(0, 0.0, 0.0, 0.0)
    with pytest.raises(ValueError, match="shape"):
        live.drift(np.ones((2, 2)), np.ones((3, 2)))


def test_the_drift_of_parts_is_that_of_the_whole():
    random = np.random.default_rng(0)
    live_rows, refitted = (random.dirichlet(np.ones(3), 40) for _ in range(2))
    parts = [live.drift(live_rows[rows], refitted[rows]) for rows in (slice(0, 7), slice(7, 7), slice(7, 40))]
    whole, joined = live.drift(live_rows, refitted), live.joined(parts)
    assert joined.tasks == 40
    np.testing.assert_allclose(list(vars(joined).values()), list(vars(whole).values()))
    assert live.joined([]) == live.Drift(0, 0.0, 0.0, 0.0)


def test_an_unknown_annotator_votes_as_everybody_does():
    column = np.array([0.0, 0.3, 0.5])
    np.testing.assert_allclose(live.vote_likelihood(0, 3, None, None, 0.8, column), [0.8, 0.06, 0.1])
    np.testing.assert_allclose(live.vote_likelihood(0, 3, None, 0.5, 0.8, column), [0.5, 0.15, 0.25])
    np.testing.assert_allclose(live.vote_likelihood(0, 3, [0.1, 0.2, 0.3], 0.5, 0.8, column), [0.1, 0.2, 0.3])
    assert column.tolist() == [0.0, 0.3, 0.5]


def test_no_single_vote_annihilates_a_label():
    likelihood = live.vote_likelihood(1, 2, [0.0, 1.0], None, 0.7, [1.0, 0.0])
    assert (likelihood > 0).all()
    assert live.posterior(np.array([0.5, 0.5]), likelihood[None])[0] > 0


@pytest.mark.parametrize("voted", [-1, 3])
def test_a_vote_for_no_label_is_refused(voted):
    with pytest.raises(ValueError, match=f"voted is {voted}; expected 0..2"):
        live.vote_likelihood(voted, 3, None, None, 0.7, np.zeros(3))


def test_a_vector_of_another_length_is_refused():
    with pytest.raises(ValueError, match="shape"):
        live.vote_likelihood(0, 3, [0.5, 0.5], None, 0.7, np.zeros(3))


def test_without_votes_the_posterior_is_the_prior():
    np.testing.assert_allclose(live.posterior(np.array([0.2, 0.8]), np.empty((0, 2))), [0.2, 0.8])


def test_the_task_prior_goes_from_the_label_prior_to_the_prediction():
    prior, prediction = np.array([0.5, 0.5]), np.array([[0.9, 0.1], [0.2, 0.8]])
    np.testing.assert_allclose(live.task_prior(prior, prediction, 0.0), [[0.5, 0.5], [0.5, 0.5]])
    np.testing.assert_allclose(live.task_prior(prior, prediction, 1.0), prediction)
    np.testing.assert_allclose(live.task_prior(prior, prediction, 0.5)[0], [0.75, 0.25])
    np.testing.assert_allclose(live.task_prior(prior, None, 1.0), prior)


def test_certain_rows_stay_certain_under_another_prior():
    changed = live.with_prior(np.array([[1.0, 0.0]]), np.array([0.5, 0.5]), np.array([[0.01, 0.99]]))
    assert changed.tolist() == [[1.0, 0.0]]


def test_summary_names_the_winner_its_probability_and_the_runner_up():
    label, confidence, runner_up = live.summary(np.array([[0.1, 0.6, 0.3], [0.4, 0.4, 0.2], [1.0, 0.0, 0.0]]))
    assert (label.tolist(), confidence.tolist(), runner_up.tolist()) == ([1, 0, 0], [0.6, 0.4, 1.0], [2, 1, 1])
    assert [part.tolist() for part in live.summary(np.array([1.0]))] == [[0], [1.0], [-1]]


@settings(max_examples=50, deadline=None)
@given(n_labels=st.integers(1, 200), seed=st.integers(0, 1000), flat=st.sampled_from([0.01, 0.1, 1.0]))
def test_a_stored_posterior_comes_back(n_labels, seed, flat):
    weights = np.random.default_rng(seed).standard_gamma(flat, n_labels) + 1e-12
    posterior = weights / weights.sum()
    stored = json.loads(json.dumps(live.encode_posterior(posterior)))
    decoded = live.decode_posterior(stored, n_labels)
    np.testing.assert_allclose(decoded.sum(), 1.0, atol=1e-9)
    np.testing.assert_allclose(decoded, posterior, atol=0.0 if n_labels <= DENSE_LABELS else live.SPARSE_ABOVE)


def test_the_default_model_is_registered():
    assert DEFAULT_LABEL_MODEL in LABEL_MODELS


@pytest.mark.parametrize("kinds", [1, 2])
def test_states_are_told_another_posterior_of_the_labels(kinds):
    random = np.random.default_rng(0)
    states, posterior = random.dirichlet(np.ones(3 * kinds), 5), random.dirichlet(np.ones(3), 5)
    states[0], posterior[0] = np.eye(3 * kinds)[1], np.eye(3)[1]
    found = live.with_labels(states, posterior)
    np.testing.assert_allclose(live.labels(found, 3), posterior, atol=1e-12)
    before, after = (rows.reshape(5, kinds, 3)[1:] for rows in (states, found))
    shares = before / before.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(after / after.sum(axis=1, keepdims=True), shares, atol=1e-12)
