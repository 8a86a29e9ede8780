"""Which tasks together: batches that differ, representatives, a share by chance, and the search for a rare label."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from aggregation.core.acquisition import diverse, explore, lots, representatives, search
from aggregation.core.bounds import lower_bounds
from aggregation.core.certificate import Audits
from aggregation.core.queue import spread
from aggregation.learners import Target, images, sketch, train

RANDOM = np.random.default_rng(0)
#: Four clusters of 40, 30, 20 and 10 rows.
CENTRES = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])
CLUSTER = np.repeat(np.arange(4), [40, 30, 20, 10])
CLUSTERED = CENTRES[CLUSTER] + RANDOM.normal(0, 0.3, (100, 2))


def test_a_batch_does_not_repeat_itself():
    X = np.array([[0.0], [0.0], [0.1], [5.0], [9.0]])
    score = np.array([1.0, 0.99, 0.9, 0.5, 0.2])
    # 5.0 is worth 0.5 * 5, 9.0 then 0.2 * 4 and 0.1 then 0.9 * 0.1; the copy of the first comes last.
    assert diverse(score, X, 9).tolist() == [0, 3, 4, 2, 1]
    assert diverse(score, X, 2).tolist() == [0, 3]
    assert diverse(score, np.zeros((5, 1)), 5).tolist() == [0, 1, 2, 3, 4], "of equals the highest scores"
    assert diverse(score, X, 1, known=np.array([[0.0], [6.0]])).tolist() == [4], "0.2 * 3 is more than 0.5 * 1"


@settings(max_examples=40, deadline=None)
@given(scores=st.lists(st.sampled_from([0.0, 0.3, 1.0]), max_size=12), n=st.integers(0, 15), seed=st.integers(0, 9))
def test_a_batch_takes_each_row_once_and_begins_with_the_best(scores, n, seed):
    score, X = np.array(scores), np.random.default_rng(seed).integers(0, 2, (len(scores), 2)).astype(float)
    rows = diverse(score, X, n)
    assert len(set(rows.tolist())) == len(rows) == min(n, len(score))
    if len(rows):
        assert rows[0] == score.argmax()
        different = len(np.unique(X[score > 0], axis=0))
        assert len(np.unique(X[rows[:different]], axis=0)) >= min(n, different), "copies come after all others"


def test_the_first_of_a_queue_are_one_in_ten_and_unlike_each_other():
    place, X = np.full(40, 900.0), np.repeat([[0.0], [1.0], [5.0], [9.0]], 10, axis=0)
    rows = spread(place, X)
    assert len(rows) == 4 and len(set(X[rows].ravel().tolist())) == 4
    assert spread(place[:9], X[:9]).tolist() == []


def test_a_score_below_0_is_refused():
    with pytest.raises(ValueError, match="score in row 1"):
        diverse(np.array([1.0, -0.1]), np.zeros((2, 1)), 1)


def test_representatives_stand_for_clusters_the_largest_first():
    for seed in range(5):
        rows = representatives(CLUSTERED, 4, seed)
        assert CLUSTER[rows].tolist() == [0, 1, 2, 3]
        assert np.abs(CLUSTERED[rows] - CENTRES).max() < 0.4
        assert rows.tolist() == representatives(CLUSTERED, 4, seed).tolist()


@pytest.mark.parametrize(("rows", "n"), [(0, 3), (1, 3), (5, 3), (5, 9)])
@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_representatives_of_few_or_identical_tasks_are_tasks_still(rows, n, spread):
    found = representatives(spread * RANDOM.normal(size=(rows, 3)), n)
    assert len(set(found.tolist())) == len(found) == min(rows, n)
    assert all(0 <= row < rows for row in found)


def test_representatives_of_many_tasks_are_sought_in_a_sample(monkeypatch):
    monkeypatch.setattr("aggregation.core.acquisition.cold_start.MOST_ROWS", 50)
    rows = representatives(CLUSTERED, 70)
    assert len(set(rows.tolist())) == 70
    assert sorted(CLUSTER[representatives(CLUSTERED, 4)]) == [0, 1, 2, 3]


def test_a_sketch_keeps_distances():
    X = csr_matrix(RANDOM.random((30, 5000)) * (RANDOM.random((30, 5000)) < 0.02))
    true, kept = (np.linalg.norm(rows[:, None] - rows[None], axis=2) for rows in (X.toarray(), sketch(X)))
    ratio = kept[true > 0] / true[true > 0]
    assert sketch(X).shape == (30, 64) and abs(ratio.mean() - 1) < 0.05 and ratio.std() < 0.15
    np.testing.assert_array_equal(sketch(np.eye(3)), np.eye(3))


def test_all_or_nothing_by_chance():
    score = np.array([0.1, 0.9, 0.5, 0.9])
    greedy = explore(score, 3, 0.0, seed=0)
    assert greedy.row.tolist() == [1, 3, 2] and not greedy.explored.any() and (greedy.probability == 1.0).all()
    chance = explore(score, 9, 1.0, seed=0)
    assert sorted(chance.row) == [0, 1, 2, 3] and chance.explored.all()
    np.testing.assert_allclose(chance.probability, [1 / 4, 1 / 3, 1 / 2, 1])
    with pytest.raises(ValueError, match="share is 1.5"):
        explore(score, 1, 1.5, seed=0)


@settings(max_examples=60, deadline=None)
@given(tasks=st.integers(0, 12), n=st.integers(0, 15), share=st.sampled_from([0.0, 0.2, 1.0]), seed=st.integers(0, 99))
def test_each_task_is_chosen_once_and_more_go_on_where_fewer_ended(tasks, n, share, seed):
    score = np.random.default_rng(seed).integers(0, 3, tasks) / 2
    choice = explore(score, n, share, seed)
    assert len(set(choice.row.tolist())) == len(choice.row) == min(n, tasks)
    assert choice.row.tolist() == explore(score, tasks, share, seed).row.tolist()[:n]
    assert ((choice.least <= choice.probability) & (choice.probability <= 1 + 1e-12)).all()


def test_the_recorded_probability_is_how_often_it_happens():
    score = np.array([0.9, 0.1, 0.5, 0.3])
    choices = [explore(score, 2, 0.4, seed) for seed in range(20_000)]
    first = np.bincount([choice.row[0] for choice in choices], minlength=4) / len(choices)
    np.testing.assert_allclose(first, [0.7, 0.1, 0.1, 0.1], atol=0.015)
    recorded = {int(choice.row[0]): choice.probability[0] for choice in choices}
    np.testing.assert_allclose([recorded[row] for row in range(4)], [0.7, 0.1, 0.1, 0.1])
    after_best = [choice.row[1] for choice in choices if choice.row[0] == 0]
    share = np.bincount(after_best, minlength=4) / len(after_best)
    np.testing.assert_allclose(share, np.array([0, 0.4, 2.2, 0.4]) / 3, atol=0.02)


def test_what_is_found_by_weighing_with_the_probability_is_unbiased():
    """Scores shun the wrong labels; those drawn say as much, and weighted by the recorded chance they don't."""
    score = np.linspace(1, 0, 50)
    right = (np.arange(50) < 35).astype(float)
    plain, weighted = [], []
    for seed in range(2000):
        choice = explore(score, 10, 0.3, seed)
        seen = np.cumsum(right[choice.row]) - right[choice.row]
        weighted.append((seen + right[choice.row] / choice.probability).mean() / 50)
        plain.append(right[choice.row].mean())
    assert np.mean(plain) > 0.85 and abs(np.mean(weighted) - 0.7) < 0.03


def test_what_was_explored_can_be_audited():
    choice = explore(np.linspace(1, 0, 300), 200, 0.5, seed=1)
    audits = Audits(choice.row, np.ones(200, np.int64), choice.probability, choice.least)
    bounds = lower_bounds(audits.truth == 1, 300, audits.share)
    assert 0.7 < bounds[-1] <= 1.0
    whole = explore(np.linspace(1, 0, 30), 30, 0.5, seed=1)
    assert Audits(whole.row, np.ones(30, np.int64), whole.probability, whole.least).share[-1] == 1.0


def test_lots_are_even_independent_and_the_same_in_every_chunk():
    ids = np.arange(100_000)
    drawn = lots(ids, seed=1)
    np.testing.assert_array_equal(drawn, np.concatenate([lots(ids[:7], 1), lots(ids[7:], 1)]))
    assert drawn.min() >= 0 and drawn.max() < 1
    np.testing.assert_allclose(np.bincount((drawn * 10).astype(int), minlength=10), 10_000, atol=500)
    assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 0.02
    assert abs(np.corrcoef(drawn, lots(ids, seed=2))[0, 1]) < 0.02


@pytest.mark.parametrize("digit", [3, 7])
def test_a_search_finds_most_of_a_rare_label_for_a_tenth_of_the_votes(digit):
    """16 of one digit among 1,600 others, from no vote at all; chance would find one or two."""
    from sklearn.datasets import load_digits

    digits, random = load_digits(), np.random.default_rng(0)
    rare, others = np.flatnonzero(digits.target == digit), np.flatnonzero(digits.target != digit)
    rows = random.permutation(np.concatenate([random.choice(rare, 16, replace=False), others[:1600]]))
    payloads, truth = [{"pixels": image.tolist()} for image in digits.images[rows]], digits.target[rows] == digit
    X = images.LEARNER.fit_encoder(payloads, ["pixels"]).features(payloads)
    asked = representatives(sketch(X), 20)
    while len(asked) + 10 <= len(rows) // 10:
        left = np.setdiff1d(np.arange(len(rows)), asked)
        if truth[asked].any():
            probability = train(X[asked], Target.hard(truth[asked], 2)).predict_proba(X[left])[:, 1]
            more = np.argsort(-search(probability, np.zeros(len(left))), kind="stable")[:10]
        else:
            more = diverse(np.ones(len(left)), sketch(X)[left], 10, known=sketch(X)[asked])
        asked = np.append(asked, left[more])
    assert truth[asked].sum() >= 0.9 * 16
