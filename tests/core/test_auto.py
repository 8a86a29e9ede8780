"""The default label model: what it chooses, that it says so, and that it is safe."""

import numpy as np
import pytest

from aggregation.core import auto, everybody, hierarchical, majority_vote
from aggregation.core.factions import factions
from aggregation.core.simulation import dawid_skene_votes
from aggregation.core.votes import Votes
from benchmarks.crowds import GENERATORS
from benchmarks.scores import correct

from .test_hierarchical import alike, easy_and_hard


def crowd(name, seed):
    return GENERATORS[name](np.random.default_rng([seed, 2]))


def drawn_gold(truth, seed, n=50):
    gold = np.full(len(truth), -1, dtype=np.int32)
    some = np.random.default_rng([seed, 3]).choice(len(truth), n, replace=False)
    gold[some] = truth[some]
    return gold


@pytest.mark.parametrize("generator", GENERATORS)
def test_it_is_never_much_worse_than_majority_vote(generator):
    for seed in range(3):
        votes, truth = crowd(generator, seed)
        ours, majority = (correct(fit(votes).posterior, truth).mean() for fit in (auto.fit, majority_vote.fit))
        assert ours >= majority - 0.02 - 1 / len(truth), seed


@pytest.mark.parametrize("seed", [7, 16])
def test_a_ring_of_copiers_is_found_and_set_aside(seed):
    votes, truth = crowd("colluders", seed)
    fit = auto.fit(votes)
    fooled = hierarchical.fit(votes, kinds=2)
    assert (fit.label == truth).mean() > (fooled.label == truth).mean() + 0.1
    assert "two factions" in fit.notes[0] and "are set aside" in fit.notes[0]
    ring = np.flatnonzero(np.abs(fit.confusion - fit.confusion[:, :1]).max(axis=(1, 2)) < 1e-12)
    assert f"the votes of {len(ring)} annotators" in fit.notes[0]
    np.testing.assert_allclose(
        np.ptp(fit.kinds.confusion[ring], axis=(1, 2)), 0.0, atol=1e-12
    )  # their votes say nothing


def test_the_posterior_is_that_of_all_votes_under_the_confusions_returned():
    """What is computed live, from everybody's votes, agrees with what was fitted without the ring's."""
    votes, _truth = crowd("colluders", 1)
    fit = auto.fit(votes)
    log = np.tile(np.log(fit.kinds.prior), (votes.n_tasks, 1, 1))
    np.add.at(log, votes.task, np.log(fit.kinds.confusion[votes.annotator, :, :, votes.label]))
    states = np.exp(log - log.max(axis=(1, 2), keepdims=True))
    posterior = states.sum(axis=1) / states.sum(axis=(1, 2))[:, None]
    np.testing.assert_allclose(posterior, fit.posterior, atol=1e-8)


def test_gold_tells_which_faction_is_right_though_it_be_the_smaller():
    votes, truth = crowd("colluders", 1)
    found = factions(votes, hierarchical.fit(votes, kinds=2).posterior)
    ring = min((found.block, found.rest), key=lambda side: side.sum())
    # What the ring says becomes the truth.
    said = np.zeros((votes.n_tasks, votes.n_labels))
    np.add.at(said, (votes.task[ring[votes.annotator]], votes.label[ring[votes.annotator]]), 1.0)
    truth = said.argmax(axis=1).astype(np.int32)
    answered = said.sum(axis=1) > 1
    blind, told = auto.fit(votes), auto.fit(votes, np.where(answered & (np.arange(len(truth)) % 5 == 0), truth, -1))
    scored = answered & (np.arange(len(truth)) % 5 != 0)
    assert (told.label == truth)[scored].mean() > (blind.label == truth)[scored].mean() + 0.1
    assert "More gold labels are right without them" in told.notes[0]


@pytest.mark.parametrize("generator", [name for name in GENERATORS if name != "colluders"])
def test_no_faction_is_seen_where_nobody_copies(generator):
    for seed in range(3):
        votes, _truth = crowd(generator, seed)
        assert factions(votes, hierarchical.fit(votes, kinds=2).posterior) is None


def test_people_who_are_alike_count_the_same():
    votes, truth = alike(3, accuracy=0.62, T=300, A=60, K=2)
    fit = auto.fit(votes)
    assert np.ptp(fit.accuracy) == 0.0
    assert "everybody counts the same" in fit.notes[0]
    majority = votes.per_task()
    decided = majority[:, 0] != majority[:, 1]
    assert (fit.label == majority.argmax(axis=1))[decided].all()
    assert abs((fit.posterior.max(axis=1) - (fit.label == truth)).mean()) < 0.08


@pytest.mark.parametrize("common", [0.8, 0.95])
def test_people_who_are_alike_count_the_same_however_rare_a_label_is(common):
    random = np.random.default_rng(0)
    for _ in range(3):
        truth = (random.random(400) > common).astype(np.int32)
        task = np.repeat(np.arange(400, dtype=np.int32), 3)
        annotator = np.argsort(random.random((400, 40)), axis=1)[:, :3].ravel().astype(np.int32)
        label = np.where(random.random(1200) < 0.8, truth[task], 1 - truth[task]).astype(np.int32)
        fit = auto.fit(Votes(task, annotator, label, 400, 40, 2))
        assert "everybody counts the same" in fit.notes[0]


@pytest.mark.parametrize("K", [2, 4])
def test_votes_that_nobody_else_gave_are_believed(K):
    label = np.array([0] * 60 + list(range(1, K)), dtype=np.int32)
    votes = Votes(np.arange(len(label)), np.zeros(len(label), np.int32), label, len(label), 1, K)
    fit = auto.fit(votes)
    assert (fit.label == label).all() and fit.posterior.max() < 0.9
    assert "nothing tells annotators apart" in fit.notes[0]


def test_skills_are_used_where_they_show():
    votes, truth, _ = dawid_skene_votes(3, 600, 30, 2, 5, diagonal=3.0)
    fit = auto.fit(votes)
    assert np.ptp(fit.accuracy) > 0.2
    assert not any("everybody counts the same" in note for note in fit.notes)
    assert (fit.label == truth).mean() >= (majority_vote.fit(votes).label == truth).mean()


def test_it_says_how_many_tasks_are_hard():
    votes, _truth, hard = easy_and_hard(4)
    assert any(note.startswith("About ") and "find hard" in note for note in auto.fit(votes).notes), hard.mean()


def test_gold_may_show_that_majority_vote_does_better():
    """Gold that sides with majority vote wherever the model differs from it, by nothing but chance."""
    votes, truth = alike(5, accuracy=0.5, T=600, A=30, K=3, per_task=5)
    assert not any("Majority vote" in note for note in auto.fit(votes, drawn_gold(truth, 5)).notes)
    majority = votes.per_task().argmax(axis=1).astype(np.int32)
    differ = np.flatnonzero(majority != auto.fit(votes).label)
    assert len(differ) >= 5
    gold = np.full(600, -1, dtype=np.int32)
    gold[differ] = majority[differ]
    told = auto.fit(votes, gold)
    assert "Majority vote is right on significantly more" in told.notes[0]
    clear = np.sort(votes.per_task(), axis=1)[:, -2] < votes.per_task().max(axis=1)
    assert (told.label == majority)[clear & (gold < 0)].all()


def test_a_single_vote_is_not_certainty_even_where_majority_vote_does_better():
    votes, _truth = alike(5, accuracy=0.5, T=600, A=30, K=3, per_task=5)
    lone = votes.task == 0
    lone[np.flatnonzero(lone)[0]] = False
    votes = Votes(*(column[~lone] for column in (votes.task, votes.annotator, votes.label)), 600, 30, 3)
    majority = votes.per_task().argmax(axis=1).astype(np.int32)
    differ = np.setdiff1d(np.flatnonzero(majority != auto.fit(votes).label), [0])
    gold = np.full(600, -1, dtype=np.int32)
    gold[differ] = majority[differ]
    told = auto.fit(votes, gold)
    assert "Majority vote is right" in told.notes[0]
    assert told.posterior[0].max() < 0.9


def test_one_accuracy_for_everybody_is_found():
    votes, truth = alike(1, accuracy=0.75, T=2000)
    fit = everybody.fit(votes)
    assert abs(fit.accuracy[0] - 0.75) < 0.02
    assert (np.diff(fit.objective) >= -1e-9).all() and fit.converged
    assert abs(fit.posterior.max(axis=1).mean() - (fit.label == truth).mean()) < 0.03


def test_gold_is_kept_whatever_is_chosen():
    for generator in GENERATORS:
        votes, truth = crowd(generator, 3)
        gold = drawn_gold(truth, 3)
        known = gold >= 0
        assert (auto.fit(votes, gold).posterior[known, gold[known]] == 1.0).all()


def test_it_takes_five_to_nil_to_show_that_majority_vote_does_better():
    votes, _truth, _confusion = dawid_skene_votes(3, 600, 30, 3, 5, diagonal=2.0)
    majority = votes.per_task().argmax(axis=1).astype(np.int32)
    shares = votes.per_task() / 5
    clear = shares.max(axis=1) > np.sort(shares, axis=1)[:, 1]
    differ = np.flatnonzero((majority != auto.fit(votes).label) & clear)
    assert len(differ) >= 5
    for n, shown in ((4, False), (5, True)):
        gold = np.full(600, -1, dtype=np.int32)
        gold[differ[:n]] = majority[differ[:n]]
        assert ("Majority vote is right" in auto.fit(votes, gold).notes[0]) == shown, n


def test_the_skill_of_those_set_aside_is_how_often_they_are_right():
    votes, truth = crowd("colluders", 7)
    fit = auto.fit(votes)
    ring = np.abs(fit.confusion - fit.confusion[:, :1]).max(axis=(1, 2)) < 1e-12
    right = np.bincount(votes.annotator, votes.label == truth[votes.task]) / np.bincount(votes.annotator)
    assert abs(fit.skill[ring] - right[ring]).mean() < 0.08


@pytest.mark.parametrize("generator", ["colluders", "skewed_labels"])
def test_what_needs_no_gold_is_worked_out_once(monkeypatch, generator):
    votes, truth = crowd(generator, 7)
    fits, fit_anew = [], hierarchical.hierarchy
    monkeypatch.setattr(hierarchical, "hierarchy", lambda *a, **k: fits.append(a[1]) or fit_anew(*a, **k))
    golds = [drawn_gold(truth, seed) for seed in range(3)]
    found = [auto.fit(votes, gold) for gold in golds]
    blind = sum(gold is None for gold in fits)
    again = auto.fit(votes)
    assert sum(gold is None for gold in fits) == blind
    for gold, fit in zip(golds, found, strict=True):
        alone = Votes(votes.task, votes.annotator, votes.label, votes.n_tasks, votes.n_annotators, votes.n_labels)
        assert (auto.fit(alone, gold).posterior == fit.posterior).all()
    assert (auto.fit(alone).posterior == again.posterior).all()


@pytest.mark.parametrize(("generator", "seed"), [("colluders", 7), ("hard_tasks", 1), ("skewed_labels", 2)])
def test_a_refit_from_a_whole_fit_keeps_its_choices_and_climbs_on(monkeypatch, generator, seed):
    votes, truth = crowd(generator, seed)
    fit = auto.fit(votes)
    monkeypatch.setattr(hierarchical, "_stage", None)  # no target is estimated again
    again = auto.fit(votes, start=fit)
    assert again.notes[0].startswith("What was chosen for an earlier fit")
    assert again.kinds.own_share == fit.kinds.own_share
    assert (again.aside is None) == (fit.aside is None) == (generator != "colluders")
    if fit.aside is not None:
        assert (again.aside == fit.aside).all() and again.aside.any()
        assert np.ptp(again.kinds.confusion[again.aside], axis=(1, 2)).max() < 1e-12
    assert (again.label == fit.label).mean() > 0.995
    assert again.objective[-1] >= fit.objective[-1] - 1e-7 * len(votes) and again.n_iter <= fit.n_iter
    assert np.abs(again.posterior - fit.posterior).mean() < 1e-3


def test_a_refit_from_a_whole_fit_hears_new_people_and_new_gold():
    votes, truth = crowd("colluders", 7)
    fit = auto.fit(votes)
    T, A, K = votes.n_tasks, votes.n_annotators, votes.n_labels
    wrong = np.flatnonzero(fit.label != truth)[:20].astype(np.int32)
    columns = [(votes.task, np.arange(T)), (votes.annotator, np.full(T, A)), (votes.label, truth)]
    more = Votes(*(np.concatenate(pair).astype(np.int32) for pair in columns), T, A + 1, K)
    gold = np.full(T, -1, dtype=np.int32)
    gold[wrong[:10]] = truth[wrong[:10]]
    again = auto.fit(more, gold, start=fit)
    assert (again.posterior[wrong[:10], truth[wrong[:10]]] == 1.0).all()
    assert len(again.accuracy) == A + 1 and again.accuracy[A] > 0.85 and not again.aside[A]
    assert (again.label == truth).mean() > (fit.label == truth).mean()


def test_a_fit_without_kinds_is_a_start_as_its_posterior_is():
    votes, _truth = alike(3, accuracy=0.62, T=300, A=60, K=2)
    fit = auto.fit(votes)
    assert fit.kinds is None
    assert (auto.fit(votes, start=fit).posterior == auto.fit(votes, start=fit.posterior).posterior).all()
