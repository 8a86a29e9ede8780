"""What every label model promises, and what each one is."""

import csv
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregation.core import dawid_skene, hierarchical, majority_vote
from aggregation.core.fit import DENSE_LABELS
from aggregation.core.label_models import DEFAULT_LABEL_MODEL, LABEL_MODELS, OURS
from aggregation.core.simulation import dawid_skene_votes, digit_crowd
from aggregation.core.votes import Votes

from .strategies import any_votes, as_votes, slow_dawid_skene, votes_and_gold

MODELS = pytest.mark.parametrize("name", OURS)
BLUEBIRD = Path(__file__).parents[2] / "crowd/demo/data/bluebird"
ONE_PASS = ("majority_vote", "wawa")


@MODELS
@settings(max_examples=25, deadline=None)
@given(case=votes_and_gold())
def test_a_fit_holds_probabilities_and_respects_gold(name, case):
    votes, gold = case
    start = np.full((votes.n_tasks, votes.n_labels), 1 / votes.n_labels)
    given_arrays = (votes.task, votes.annotator, votes.label, gold, start)
    before = [array.copy() for array in given_arrays]
    for fit in (LABEL_MODELS[name](votes, gold), LABEL_MODELS[name](votes, gold, start)):
        holds_probabilities(fit, votes)
        assert fit.confusion.shape == (votes.n_annotators, votes.n_labels, votes.n_labels)
        known = gold >= 0
        assert (fit.posterior[known, gold[known]] == 1).all()
    for array, was in zip(given_arrays, before, strict=True):
        assert np.array_equal(array, was)


@MODELS
@settings(max_examples=20, deadline=None)
@given(case=votes_and_gold(), data=st.data())
def test_the_order_of_votes_and_the_names_of_things_do_not_matter(name, case, data):
    votes, gold = case
    rows = data.draw(st.permutations(range(len(votes))))
    tasks, annotators, labels = (
        np.array(data.draw(st.permutations(range(size))), dtype=np.int32)
        for size in (votes.n_tasks, votes.n_annotators, votes.n_labels)
    )
    rows = np.array(rows, dtype=np.intp)
    renamed = Votes(
        tasks[votes.task[rows]],
        annotators[votes.annotator[rows]],
        labels[votes.label[rows]],
        votes.n_tasks,
        votes.n_annotators,
        votes.n_labels,
    )
    few = {} if name in ONE_PASS else {"max_iter": 5}  # rounding must not grow for hundreds of steps
    renamed_gold = np.full_like(gold, -1)
    renamed_gold[tasks] = np.where(gold >= 0, labels[gold], -1)
    fit, other = (LABEL_MODELS[name](*each, **few) for each in ((votes, gold), (renamed, renamed_gold)))
    np.testing.assert_allclose(other.posterior[np.ix_(tasks, labels)], fit.posterior, atol=1e-7)
    np.testing.assert_allclose(other.accuracy[annotators], fit.accuracy, atol=1e-7)
    np.testing.assert_allclose(other.skill_votes[annotators], fit.skill_votes, atol=1e-6)


@MODELS
@settings(max_examples=15, deadline=None)
@given(case=votes_and_gold())
def test_equal_votes_give_equal_bytes(name, case):
    fit, again = (LABEL_MODELS[name](*case) for _ in range(2))
    assert fit.posterior.tobytes() == again.posterior.tobytes()
    assert fit.confusion.tobytes() == again.confusion.tobytes()
    assert fit.objective == again.objective


@MODELS
@settings(max_examples=25, deadline=None)
@given(case=votes_and_gold())
def test_no_models_objective_ever_falls(name, case):
    fit = LABEL_MODELS[name](*case, **({} if name in ONE_PASS else {"tol": 0.0, "max_iter": 30}))
    assert (np.diff(fit.objective) >= -1e-7).all()


@MODELS
@pytest.mark.parametrize("n_labels", [2, 5, DENSE_LABELS + 4])
def test_no_models_objective_falls_on_a_crowd(name, n_labels):
    fit = LABEL_MODELS[name](dawid_skene_votes(1, 200, 12, n_labels, 4, diagonal=12.0)[0])
    assert (np.diff(fit.objective) >= -1e-7).all()
    assert fit.converged and fit.n_iter >= 1


DEGENERATE = {
    "one label": as_votes([(t, a, 0) for t in range(4) for a in range(3)], 4, 3, 1),
    "one annotator": as_votes([(t, 0, t % 3) for t in range(30)], 30, 1, 3),
    "one label voted for": as_votes([(t, a, 1) for t in range(5) for a in range(3)], 5, 3, 4),
    "a task with 10,000 votes": as_votes(
        [(0, a, int(a % 10 == 0)) for a in range(10_000)] + [(t, a, 1) for t in (1, 2) for a in range(3)], 3, 10_000, 2
    ),
    "an annotator who voted once": as_votes(
        [(t, a, t % 2) for t in range(20) for a in range(3)] + [(0, 3, 1)], 20, 4, 2
    ),
    "1,000 labels": dawid_skene_votes(9, 600, 20, 1000, 5, diagonal=4000.0)[0],
}


@MODELS
@pytest.mark.parametrize("case", DEGENERATE)
def test_odd_votes_give_a_fit_too(name, case):
    votes = DEGENERATE[case]
    fit = LABEL_MODELS[name](votes)
    holds_probabilities(fit, votes)
    lower, upper = fit.skill_interval.T
    assert ((lower >= 0) & (lower <= upper) & (upper <= 1 + 1e-12)).all()
    majority = votes.per_task()
    clear = majority.max(axis=1) > majority.sum(axis=1) / 2
    assert (fit.label == majority.argmax(axis=1))[clear].all()


@settings(max_examples=40, deadline=None)
@given(case=votes_and_gold(), kinds=st.sampled_from([1, 2]))
def test_the_objective_never_falls(case, kinds):
    fit = hierarchical.fit(*case, kinds=kinds, tol=0.0, max_iter=30)
    assert (np.diff(fit.objective) >= -1e-7).all()


@pytest.mark.parametrize("n_labels", [3, DENSE_LABELS, DENSE_LABELS + 4])
@pytest.mark.parametrize("kinds", [1, 2])
def test_the_objective_never_falls_on_a_crowd(n_labels, kinds):
    votes, _, _ = dawid_skene_votes(1, 200, 12, n_labels, 4, diagonal=12.0)
    fit = hierarchical.fit(votes, kinds=kinds)
    assert fit.n_iter == len(fit.objective) > 1
    assert (np.diff(fit.objective) >= -1e-7).all()


def test_maximum_likelihood_agrees_with_a_slow_reference():
    votes, _, _ = dawid_skene_votes(2, 60, 8, 3, 4)
    for iterations in (1, 2, 4):
        fit = dawid_skene.fit(votes, tol=0.0, max_iter=iterations)
        np.testing.assert_allclose(fit.posterior, slow_dawid_skene(votes, iterations), atol=1e-9)


def test_the_posterior_agrees_with_the_parameters():
    votes, _, _ = dawid_skene_votes(3, 50, 6, 3, 3)
    fit = hierarchical.fit(votes, max_iter=2)
    log = np.log(np.tile(fit.label_prior, (50, 1)))
    for task, annotator, label in zip(votes.task, votes.annotator, votes.label, strict=True):
        log[task] += np.log(fit.confusion[annotator, :, label])
    expected = np.exp(log) / np.exp(log).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(fit.posterior, expected, atol=1e-12)


@settings(max_examples=15, deadline=None)
@given(votes=any_votes())
def test_majority_vote_agrees_with_crowd_kit(votes):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # crowd-kit's imports warn; ours must not
        import pandas as pd
        from crowdkit.aggregation import MajorityVote

        if len(votes) == 0:
            return
        table = pd.DataFrame({"task": votes.task, "worker": votes.annotator, "label": votes.label})
        theirs = MajorityVote().fit_predict_proba(table)
    ours = majority_vote.fit(votes).posterior
    for label in theirs.columns:
        np.testing.assert_allclose(ours[theirs.index, label], theirs[label], atol=1e-12)


def test_tied_votes_share_and_silent_tasks_get_the_label_shares():
    votes = as_votes([(0, 0, 0), (0, 1, 1), (1, 0, 1)], 3, 2, 2)
    np.testing.assert_allclose(majority_vote.fit(votes).posterior, [[0.5, 0.5], [0, 1], [0.25, 0.75]])


@MODELS
@pytest.mark.parametrize("shape", [(3, 2, 4), (1, 1, 1), (2, 1, 30)])
def test_no_votes_at_all_is_a_fit_too(name, shape):
    fit = LABEL_MODELS[name](as_votes([], *shape), None)
    np.testing.assert_allclose(fit.posterior, 1 / shape[2])
    assert 0 < fit.pooled_accuracy < 1


def test_one_annotator_is_believed_but_not_entirely():
    fit = LABEL_MODELS[DEFAULT_LABEL_MODEL](as_votes([(t, 0, t % 3) for t in range(30)], 30, 1, 3), None)
    assert (fit.label == np.arange(30) % 3).all()
    assert fit.posterior.max() < 0.95  # nobody has confirmed any of it


def test_beyond_dense_labels_confusions_are_structured():
    votes, truth, _ = dawid_skene_votes(4, 400, 10, DENSE_LABELS + 8, 5, diagonal=60.0)
    fit = LABEL_MODELS[DEFAULT_LABEL_MODEL](votes, None)
    assert fit.confusion is None
    assert fit.skill is fit.accuracy
    assert (fit.label == truth).mean() > 0.9
    sums_to_one(fit.pooled_errors)


def test_a_warm_start_settles_near_the_cold_fit():
    votes, _, _ = dawid_skene_votes(5, 300, 20, 4, 5)
    cold = dawid_skene.fit(votes)
    warm = dawid_skene.fit(votes, start=cold.posterior)
    assert np.abs(warm.posterior - cold.posterior).max() < 0.02


def test_convergence_is_reported():
    votes, _, _ = dawid_skene_votes(6, 100, 10, 3, 4)
    assert dawid_skene.fit(votes).converged
    assert not dawid_skene.fit(votes, max_iter=2).converged


def test_gold_teaches_who_is_right():
    liars = as_votes([(t, a, 1 - t % 2 if a < 3 else t % 2) for t in range(40) for a in range(5)], 40, 5, 2)
    gold = np.full(40, -1, dtype=np.int32)
    gold[:20] = np.arange(20) % 2
    fit = LABEL_MODELS[DEFAULT_LABEL_MODEL](liars, gold)
    assert (fit.label == np.arange(40) % 2).all()
    assert (fit.accuracy[:3] < 0.3).all() and (fit.accuracy[3:] > 0.8).all()


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"max_iter": 0}, "max_iter is 0"),
        ({"gold": np.array([0, 5, 0])}, "gold in row 1 is 5; expected -1..1"),
        ({"gold": np.array([0, 1])}, "gold has shape"),
        ({"gold": np.array([0.0, 1.0, 1.0])}, "gold must hold integers"),
        ({"start": np.ones((2, 2))}, "start has shape"),
        ({"start": np.full((3, 2), np.nan)}, "start must hold probabilities"),
    ],
)
def test_bad_arguments_are_named(kwargs, message):
    with pytest.raises(ValueError, match=message):
        dawid_skene.fit(as_votes([(0, 0, 0)], 3, 1, 2), **kwargs)


@MODELS
@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"gold": np.array([0, 5, 0])}, "gold in row 1 is 5; expected -1..1"),
        ({"start": np.ones((2, 2))}, "start has shape"),
        ({"start": np.full((3, 2), -1.0)}, "start must hold probabilities"),
    ],
)
def test_every_model_names_bad_gold_and_a_bad_start(name, kwargs, message):
    with pytest.raises(ValueError, match=message):
        LABEL_MODELS[name](as_votes([(0, 0, 0)], 3, 1, 2), **kwargs)


@MODELS
def test_no_model_passes_over_a_word_it_does_not_know(name):
    with pytest.raises(TypeError, match="ordered"):
        LABEL_MODELS[name](as_votes([(0, 0, 0)], 3, 1, 2), ordered=True)


def test_a_sparse_crowd_is_served_better_than_by_majority_or_maximum_likelihood():
    truth = np.random.default_rng(0).integers(10, size=1500).astype(np.int32)
    answers = digit_crowd(truth, seed=0)
    random = np.random.default_rng(1)
    task = np.repeat(np.arange(1500), random.integers(1, 4, size=1500))
    annotator = random.integers(40, size=len(task))
    votes = Votes(task, annotator, answers[annotator, task], 1500, 40, 10)
    right = {
        name: (LABEL_MODELS[name](votes, None).label == truth).mean()
        for name in ("majority_vote", "dawid_skene", DEFAULT_LABEL_MODEL)
    }
    assert right[DEFAULT_LABEL_MODEL] > max(right["majority_vote"], right["dawid_skene"]) + 0.02
    fit = LABEL_MODELS[DEFAULT_LABEL_MODEL](votes, None)
    sure = fit.posterior.max(axis=1) > 0.9
    assert (fit.label == truth)[sure].mean() > 0.9


def test_a_real_crowd_is_labelled_better_than_by_majority():
    votes, gold = bluebird()
    assert (majority_vote.fit(votes).label == gold).mean() < 0.77
    assert (LABEL_MODELS[DEFAULT_LABEL_MODEL](votes, None).label == gold).mean() >= 0.88


def bluebird():
    with (BLUEBIRD / "votes.csv").open() as file:
        rows = [(row["task"], row["worker"], int(row["label"])) for row in csv.DictReader(file)]
    with (BLUEBIRD / "gold.csv").open() as file:
        truth = {row["task"]: int(row["label"]) for row in csv.DictReader(file)}
    tasks = {name: index for index, name in enumerate(truth)}
    workers = {name: index for index, name in enumerate(sorted({worker for _, worker, _ in rows}))}
    votes = as_votes([(tasks[t], workers[w], label) for t, w, label in rows], len(tasks), len(workers), 2)
    return votes, np.array(list(truth.values()))


def holds_probabilities(fit, votes):
    sums_to_one(fit.posterior, fit.label_prior)
    assert (fit.confusion is None) == (votes.n_labels > DENSE_LABELS)
    if fit.confusion is not None:
        sums_to_one(fit.confusion)
    assert (np.diag(fit.pooled_errors) == 0).all()
    if votes.n_labels > 1:
        sums_to_one(fit.pooled_errors)
    for share in (fit.accuracy, fit.skill, np.array(fit.pooled_accuracy)):
        assert ((share >= 0) & (share <= 1 + 1e-12)).all()
    assert (fit.skill_votes >= 0).all()


def sums_to_one(*arrays):
    for array in arrays:
        assert (array >= 0).all()
        np.testing.assert_allclose(array.sum(axis=-1), 1.0, atol=1e-9)
