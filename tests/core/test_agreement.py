"""Agreement: against published examples, reference libraries and the definitions spelt out."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from aggregation.core import co_votes
from aggregation.core.agreement import alpha_interval, cohen_kappa, fleiss_kappa, krippendorff_alpha, pairwise
from aggregation.core.simulation import dawid_skene_votes
from aggregation.core.votes import Votes

from .strategies import any_votes, as_votes

#: The example of Krippendorff (2011), part C: four observers, twelve units, five values, some of them missing.
KRIPPENDORFF_2011 = """
1 2 3 3 2 1 4 1 2 . . .
1 2 3 3 2 2 4 1 2 5 . 3
. 3 3 3 2 3 4 2 2 5 1 .
1 2 3 3 2 4 4 1 2 5 1 .
"""


TEXTBOOK_COUNTS = """
0 0 0 0 14
0 2 6 4 2
0 0 3 5 6
0 3 9 2 0
2 2 8 1 1
7 7 0 0 0
3 2 6 3 0
2 5 3 2 2
6 5 2 1 0
0 2 2 3 7
"""


def table(text):
    rows = [
        (task, annotator, int(cell) - 1)
        for annotator, line in enumerate(text.split("\n")[1:-1])
        for task, cell in enumerate(line.split())
        if cell != "."
    ]
    return as_votes(rows, 12, 4, 5)


@pytest.mark.parametrize(("level", "published"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_is_that_of_the_published_example(level, published):
    values = np.arange(1.0, 6.0) if level == "interval" else None
    assert krippendorff_alpha(table(KRIPPENDORFF_2011), level, values) == pytest.approx(published, abs=5e-4)


@settings(max_examples=80, deadline=None)
@given(votes=any_votes())
@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval"])
def test_alpha_is_the_definition_by_coincidences(level, votes):
    values = np.array([3.0, -1.0, 0.5, 7.0, 2.0])[: votes.n_labels] if level == "interval" else None
    np.testing.assert_allclose(
        krippendorff_alpha(votes, level, values), slow_alpha(votes, level, values), rtol=1e-9, atol=1e-9
    )


def test_alpha_needs_no_table_of_tasks_by_labels():
    random = np.random.default_rng(0)
    task = np.repeat(np.arange(20_000), 2)
    label = random.integers(50_000, size=40_000)
    label[1:20_000:2] = label[:20_000:2]
    votes = Votes(task, np.tile([0, 1], 20_000), label, 20_000, 2, 50_000)
    assert krippendorff_alpha(votes) == pytest.approx(0.5, abs=0.01)


def test_the_interval_of_alpha_covers_it_and_is_the_same_by_seed():
    votes, _, _ = dawid_skene_votes(1, 300, 20, 3, 4)
    low, high = alpha_interval(votes, seed=3)
    assert low < krippendorff_alpha(votes) < high
    assert (low, high) == alpha_interval(votes, seed=3) != alpha_interval(votes, seed=4)


def test_the_interval_of_alpha_is_as_wide_as_alpha_varies():
    crowds = [dawid_skene_votes(seed, 200, 200, 3, 4, diagonal=1e6)[0] for seed in range(60)]
    noisy = [with_noise(votes, seed) for seed, votes in enumerate(crowds)]
    spread = np.std([krippendorff_alpha(votes) for votes in noisy])
    widths = [np.diff(alpha_interval(votes, draws=200))[0] for votes in noisy[:10]]
    assert np.mean(widths) == pytest.approx(2 * 1.96 * spread, rel=0.3)


def with_noise(votes, seed):
    random = np.random.default_rng(seed)
    noise = random.integers(votes.n_labels, size=len(votes))
    label = np.where(random.random(len(votes)) < 0.4, noise, votes.label)
    return Votes(votes.task, votes.annotator, label, votes.n_tasks, votes.n_annotators, votes.n_labels)


def test_fleiss_kappa_is_that_of_the_textbook_example():
    # Fourteen raters, ten subjects, five categories; agreement 0.378 observed, 0.213 by chance.
    counts = np.array([list(map(int, row.split())) for row in TEXTBOOK_COUNTS.strip().split("\n")])
    task, label = (np.repeat(index.ravel(), counts.ravel()) for index in np.indices(counts.shape))
    votes = Votes(task, np.tile(np.arange(14), 10), label, 10, 14, 5)
    assert fleiss_kappa(votes) == pytest.approx(0.210, abs=5e-4)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1000), n_labels=st.integers(2, 5), votes_per_task=st.integers(2, 6))
def test_fleiss_kappa_is_its_definition_where_all_tasks_have_as_many_votes(seed, n_labels, votes_per_task):
    votes, _, _ = dawid_skene_votes(seed, 30, 9, n_labels, votes_per_task)
    counts, n = votes.per_task(), votes_per_task
    observed = ((counts**2).sum() - 30 * n) / (30 * n * (n - 1))
    chance = ((counts.sum(axis=0) / (30 * n)) ** 2).sum()
    assert fleiss_kappa(votes) == pytest.approx((observed - chance) / (1 - chance), abs=1e-12)


def test_fleiss_kappa_weighs_tasks_alike_however_many_votes_they_have():
    # Observed: 1 and 1/3; label frequencies: (1 + 1/3) / 2 and (0 + 2/3) / 2; the third task has one vote only.
    rows = [(0, 0, 0), (0, 1, 0), (1, 0, 0), (1, 1, 1), (1, 2, 1), (2, 0, 1)]
    observed, chance = (1 + 1 / 3) / 2, (2 / 3) ** 2 + (1 / 3) ** 2
    assert fleiss_kappa(as_votes(rows, 3, 3, 2)) == pytest.approx((observed - chance) / (1 - chance))


@settings(max_examples=60, deadline=None)
@given(votes=any_votes())
def test_pairs_are_all_that_share_tasks_with_their_cohen_kappas(votes):
    expected = slow_pairs(votes)
    pairs = pairwise(votes)
    assert list(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)) == sorted(expected)
    for row, pair in enumerate(sorted(expected)):
        mine, theirs = expected[pair]
        assert pairs.overlap[row] == len(mine)
        assert pairs.agreement[row] == pytest.approx(np.mean(np.equal(mine, theirs)))
        np.testing.assert_allclose(pairs.kappa[row], reference_kappa(mine, theirs), atol=1e-9)
        np.testing.assert_allclose(cohen_kappa(votes, *pair), pairs.kappa[row], atol=1e-12)


def test_blocks_of_annotators_give_the_same_pairs(monkeypatch):
    votes, _, _ = dawid_skene_votes(2, 80, 15, 3, 5)
    whole = pairwise(votes, min_overlap=6)
    monkeypatch.setattr(co_votes, "CO_VOTES_AT_ONCE", 100)
    blocks = pairwise(votes, min_overlap=6)
    assert len(co_votes.CoVotes(votes)._blocks()) > 5
    assert 0 < len(whole) < 105 and whole.overlap.min() == 6
    for name in ("first", "second", "overlap", "agreement", "kappa"):
        np.testing.assert_array_equal(getattr(blocks, name), getattr(whole, name))


def test_pairs_are_a_symmetric_sparse_matrix():
    pairs = pairwise(as_votes([(0, 0, 0), (0, 2, 0), (1, 0, 1), (1, 1, 0)], 2, 4, 2))
    expected = np.zeros((4, 4))
    expected[0, 2] = expected[2, 0] = 1.0
    matrix = pairs.matrix(pairs.agreement)
    np.testing.assert_array_equal(matrix.toarray(), expected)
    assert pairs.matrix(pairs.overlap).nnz == 4


def test_only_the_first_of_repeated_votes_counts():
    once = as_votes([(0, 0, 1), (0, 1, 1), (1, 0, 0), (1, 1, 1), (2, 1, 0)], 3, 2, 2)
    repeated = as_votes([(0, 0, 1), (0, 0, 0), *zip(once.task[1:], once.annotator[1:], once.label[1:], strict=True),
                         (2, 1, 1)], 3, 2, 2)  # fmt: skip
    for statistic in (krippendorff_alpha, fleiss_kappa, lambda votes: cohen_kappa(votes, 0, 1)):
        assert statistic(repeated) == statistic(once)


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [(0, 0, 0), (1, 0, 1), (2, 0, 1)],  # one annotator
        [(0, 0, 0), (0, 0, 1)],  # who repeats a task
        [(0, 0, 0), (1, 1, 1), (2, 1, 0)],  # no overlap
        [(0, 0, 1), (0, 1, 1), (1, 0, 1), (1, 1, 1)],  # one label
    ],
)
def test_what_votes_leave_undefined_is_nan(rows):
    votes = as_votes(rows, 3, 2, 2)
    for level in ("nominal", "ordinal"):
        assert math.isnan(krippendorff_alpha(votes, level))
        assert all(map(math.isnan, alpha_interval(votes, level, draws=5)))
    assert math.isnan(fleiss_kappa(votes)) and math.isnan(cohen_kappa(votes, 0, 1))
    assert np.isnan(pairwise(votes).kappa).all()


def test_labels_of_equal_value_leave_interval_alpha_undefined():
    votes = as_votes([(0, 0, 0), (0, 1, 1)], 1, 2, 2)
    assert math.isnan(krippendorff_alpha(votes, "interval", np.array([0.1, 0.1])))


def test_a_task_with_ten_thousand_votes_and_strangers_is_no_trouble():
    votes = as_votes([(0, a, a % 2) for a in range(10_000)] + [(1, 0, 0), (1, 1, 1)], 2, 10_000, 2)
    assert krippendorff_alpha(votes) == pytest.approx(-1e-4, abs=1e-4)
    assert len(pairwise(votes, min_overlap=2)) == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda votes: krippendorff_alpha(votes, "ratio"), "level is 'ratio'; expected one of nominal"),
        (lambda votes: krippendorff_alpha(votes, "interval"), "needs values: the finite number of each of the 2"),
        (lambda votes: krippendorff_alpha(votes, "interval", np.array([1.0, np.nan])), "needs values"),
        (lambda votes: krippendorff_alpha(votes, "nominal", np.arange(2.0)), "level nominal does not use them"),
        (lambda votes: cohen_kappa(votes, 0, 2), r"annotator is 2; expected 0\.\.1"),
        (lambda votes: pairwise(votes, min_overlap=0), "min_overlap is 0; expected at least 1"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(as_votes([(0, 0, 0), (0, 1, 1)], 1, 2, 2))


def slow_alpha(votes, level, values):
    """Krippendorff's alpha from the coincidence matrix and the difference functions of his text."""
    K = votes.n_labels
    coincidences = np.zeros((K, K))
    for labels in by_task(votes):
        for one, other in itertools.permutations(labels.values(), 2):
            coincidences[one, other] += 1 / (len(labels) - 1)
    frequency = coincidences.sum(axis=0)

    def difference(c, k):
        if level == "nominal":
            return float(c != k)
        if level == "interval":
            return (values[c] - values[k]) ** 2
        low, high = min(c, k), max(c, k)
        return (frequency[low : high + 1].sum() - (frequency[c] + frequency[k]) / 2) ** 2

    differences = np.array([[difference(c, k) for k in range(K)] for c in range(K)])
    expected = (np.outer(frequency, frequency) * differences).sum()
    if expected == 0:
        return math.nan
    return 1 - (frequency.sum() - 1) * (coincidences * differences).sum() / expected


def slow_pairs(votes):
    """The labels of both annotators of each pair on the tasks they share."""
    pairs = {}
    for labels in by_task(votes):
        for one, other in itertools.combinations(sorted(labels), 2):
            mine, theirs = pairs.setdefault((one, other), ([], []))
            mine.append(labels[one])
            theirs.append(labels[other])
    return pairs


def by_task(votes):
    """For each task its first label by annotator."""
    labels = [{} for _ in range(votes.n_tasks)]
    for task, annotator, label in zip(votes.task.tolist(), votes.annotator.tolist(), votes.label.tolist(), strict=True):
        labels[task].setdefault(annotator, label)
    return labels


def reference_kappa(mine, theirs):
    if len({*mine, *theirs}) == 1:
        return math.nan  # scikit-learn warns
    return cohen_kappa_score(mine, theirs)
