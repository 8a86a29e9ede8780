"""Copying: a planted copier is found, honest annotators are left alone."""

import numpy as np
import pytest
from scipy.stats import false_discovery_control

from aggregation.core import copying as module
from aggregation.core import copying_pairs, hierarchical
from aggregation.core.copying import benjamini_hochberg, copying
from aggregation.core.simulation import dawid_skene_votes, drawn
from aggregation.core.votes import Votes
from benchmarks import datasets

from .strategies import as_votes

CALLED = 0.05


def crowd(seed, n_tasks=300, votes_per_task=8):
    return dawid_skene_votes(seed, n_tasks, 20, 4, votes_per_task, diagonal=8.0)[0]


def with_copier(votes, copied, copier, share, seed=0):
    """The same votes, but that a share of the copier's answers are taken from the copied one."""
    answer = np.full(votes.n_tasks, -1)
    answer[votes.task[votes.annotator == copied]] = votes.label[votes.annotator == copied]
    took = (votes.annotator == copier) & (answer[votes.task] >= 0)
    took &= np.random.default_rng(seed).random(len(votes)) < share
    return relabelled(votes, np.where(took, answer[votes.task], votes.label))


def relabelled(votes, label):
    return Votes(votes.task, votes.annotator, label, votes.n_tasks, votes.n_annotators, votes.n_labels)


def test_of_honest_annotators_no_pair_is_called():
    found = [copying(votes, hierarchical.fit(votes)) for votes in map(crowd, range(8))]
    assert sum(map(len, found)) == 8 * 190
    assert sum((each.adjusted <= CALLED).sum() for each in found) == 0
    p_values = np.concatenate([each.p_value for each in found])
    for level in (0.5, 0.1, 0.01):
        assert (p_values <= level).mean() <= level


def test_nobody_in_a_real_crowd_that_shares_its_mistakes_is_called():
    votes = datasets.load(datasets.BLUEBIRD).votes
    found = copying(votes, hierarchical.fit(votes))
    assert len(found) == 39 * 38 / 2 and found.wrong.sum() > 10_000
    assert found.adjusted.min() > CALLED


@pytest.mark.parametrize("pair", [(2, 7), (7, 2)])
def test_a_copier_is_called_and_nobody_else(pair):
    for seed in range(5):
        votes = with_copier(crowd(seed), *pair, share=0.9)
        found = copying(votes, hierarchical.fit(votes))
        called = np.flatnonzero(found.adjusted <= CALLED)
        assert [(found.first[row], found.second[row]) for row in called] == [(2, 7)]
        row = called[0]
        assert found.score[row] > 0.5
        assert found.expected[row] < found.coincident[row] <= found.wrong[row] <= found.overlap[row]


def test_tasks_that_mislead_everybody_alike_are_no_sign_of_copying():
    for seed in range(4):
        votes, truth, confusion = dawid_skene_votes(seed, 1000, 10, 6, 8, diagonal=20.0)
        random = np.random.default_rng(seed + 100)
        # Some tasks look like another label, each like its own, to half of the annotators.
        misleading = random.random(1000) < 0.4
        look = (truth + random.integers(1, 6, size=1000)) % 6
        misled = misleading[votes.task] & (random.random(len(votes)) < 0.5)
        seen = np.where(misled, look[votes.task], truth[votes.task])
        votes = relabelled(votes, drawn(random, confusion[votes.annotator, seen]))
        found = copying(votes, hierarchical.fit(votes))
        assert len(found) == 45 and (found.adjusted <= CALLED).sum() == 0


@pytest.mark.parametrize("n_labels", [2, 4, 20])
def test_two_who_always_say_the_same_have_copied_nothing(n_labels):
    votes, _, _ = dawid_skene_votes(3, 1000, 20, n_labels, 8, diagonal=2.0 * n_labels)
    votes = relabelled(votes, np.where(votes.annotator < 2, 0, votes.label))
    found = copying(votes, hierarchical.fit(votes))
    assert (found.first[0], found.second[0]) == (0, 1)
    assert found.wrong[0] > 50 and found.p_value[0] > 0.5
    # Nor has anybody who at times gives their answer: it would have to be them who copied.
    assert (found.p_value[found.first < 2] > 0.5).all()


def test_gold_says_which_answers_were_wrong():
    votes, truth, _ = dawid_skene_votes(1, 60, 3, 2, 3, diagonal=4.0)
    # Two of three copy: by the votes alone it is the honest third who errs.
    votes = with_copier(votes, 0, 1, share=1.0)
    answers = votes.label[votes.annotator == 0]
    for gold in (truth, 1 - truth):
        found = copying(votes, hierarchical.fit(votes), gold)
        assert found.wrong[0] == found.coincident[0] == (answers != gold).sum()
    found = copying(votes, hierarchical.fit(votes, gold=truth), truth)
    assert found.adjusted[0] <= CALLED < found.adjusted[1:].min()


def test_the_order_of_votes_and_repeats_after_the_first_do_not_matter():
    votes = with_copier(crowd(5), 0, 1, share=0.8)
    fit = hierarchical.fit(votes)
    rows = np.random.default_rng(0).permutation(len(votes))
    again = rows[:50]
    columns = [np.concatenate([column[rows], column[again]]) for column in (votes.task, votes.annotator, votes.label)]
    columns[2][-50:] = (columns[2][-50:] + 1) % 4
    shuffled = Votes(*columns, votes.n_tasks, votes.n_annotators, votes.n_labels)
    one, other = copying(votes, fit), copying(shuffled, fit)
    for name in ("first", "second", "overlap", "wrong", "coincident", "p_value", "adjusted"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_votes_in_parts_give_the_same(monkeypatch):
    votes = crowd(6)
    fit = hierarchical.fit(votes)
    whole = copying(votes, fit, min_overlap=50)
    assert 0 < len(whole) < 190 and whole.overlap.min() >= 50
    monkeypatch.setattr(module, "ROOM", 1000)
    monkeypatch.setattr(copying_pairs, "ROOM", 500)
    np.testing.assert_allclose(copying(votes, fit, min_overlap=50).p_value, whole.p_value, rtol=1e-12)


@pytest.mark.parametrize("pair", [(2, 7), (7, 2)])
def test_of_too_many_pairs_the_suspicious_are_tested(pair, monkeypatch):
    for seed in range(5):
        votes = with_copier(crowd(seed), *pair, share=0.9)
        fit = hierarchical.fit(votes)
        whole = copying(votes, fit)
        assert (len(whole), whole.untested, whole.left_out) == (190, 0, 0)
        monkeypatch.setattr(copying_pairs, "MOST_TESTED", 300)
        found = copying(votes, fit)
        monkeypatch.undo()
        assert 0 < len(found) < 10 and len(found) + found.untested == 190 and found.overlap.sum() <= 300
        rows = np.searchsorted(whole.first * 20 + whole.second, found.first * 20 + found.second)
        np.testing.assert_array_equal(found.p_value, whole.p_value[rows])
        called = np.flatnonzero(found.adjusted <= CALLED)
        assert [(found.first[row], found.second[row]) for row in called] == [(2, 7)]
        assert found.adjusted[called] == whole.adjusted[rows[called]], "pairs that were not tested count"


def test_with_many_labels_fewer_pairs_are_tested(monkeypatch):
    votes = crowd(0)
    monkeypatch.setattr(copying_pairs, "MOST_NUMBERS", 4 * 300)
    assert copying(votes, hierarchical.fit(votes)).overlap.sum() <= 300


def test_of_too_many_annotators_the_busiest_are_looked_at(monkeypatch):
    # Annotator a votes on 20 + a tasks, so that the later ones are the busier, and the first has too few in common.
    votes = as_votes([(t, a, (t * a) % 3 % 2) for a in range(10) for t in range(20 + a)], 30, 10, 2)
    monkeypatch.setattr(copying_pairs, "MOST_CO_VOTES", 28 + 27 + 27 + 26 + 26 + 26)
    found = copying(votes, hierarchical.fit(votes), min_overlap=21)
    assert sorted({*found.first.tolist(), *found.second.tolist()}) == [6, 7, 8, 9]
    assert (len(found), found.untested, found.left_out) == (6, 0, 5)
    assert found.overlap.sum() == copying_pairs.MOST_CO_VOTES


def test_however_much_two_have_in_common_one_pair_is_tested(monkeypatch):
    votes = crowd(0)
    monkeypatch.setattr(copying_pairs, "MOST_CO_VOTES", 0)
    monkeypatch.setattr(copying_pairs, "MOST_TESTED", 0)
    found = copying(votes, hierarchical.fit(votes))
    assert (len(found), found.left_out) == (1, 18)


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [(t, 0, t % 2) for t in range(30)],  # one annotator
        [(t, t // 15, t % 2) for t in range(30)],  # no overlap
        [(0, 0, 0)] * 30 + [(0, 1, 0)] * 30,  # repeats are one task
    ],
)
def test_without_pairs_there_is_nothing_to_call(rows):
    votes = as_votes(rows, 30, 2, 2)
    found = copying(votes, hierarchical.fit(votes))
    assert len(found) == 0 and found.adjusted.shape == found.score.shape == (0,)


def test_a_single_label_is_never_wrong():
    votes = as_votes([(t, a, 0) for t in range(20) for a in range(3)], 20, 3, 1)
    found = copying(votes, hierarchical.fit(votes))
    assert (found.wrong == 0).all() and (found.p_value == 1).all() and (found.score == 0).all()


def test_beyond_dense_labels_a_copier_is_called_too():
    votes = with_copier(dawid_skene_votes(2, 400, 10, 20, 5, diagonal=30.0)[0], 0, 1, share=0.8)
    found = copying(votes, hierarchical.fit(votes))
    assert (found.adjusted <= CALLED).nonzero()[0].tolist() == [0]


def test_p_values_are_adjusted_as_scipy_does():
    p_values = np.random.default_rng(0).random(50) ** 3
    np.testing.assert_allclose(benjamini_hochberg(p_values), false_discovery_control(p_values))
    assert benjamini_hochberg(np.empty(0)).shape == (0,)


def test_bad_arguments_are_named():
    votes = as_votes([(0, 0, 0)], 1, 1, 2)
    fit = hierarchical.fit(votes)
    with pytest.raises(ValueError, match="min_overlap is 0; expected at least 1"):
        copying(votes, fit, min_overlap=0)
    with pytest.raises(ValueError, match="gold in row 0 is 2"):
        copying(votes, fit, np.array([2]))
