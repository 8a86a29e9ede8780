"""The bound on how many labels are right holds at every look, exactly, and is not far above what it must be."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta

from aggregation.core.bounds import WEIGHTS, Betting, draw_audits, lower_bounds

UNEVEN = np.array([1.0, 2.0, 4.0, 7.0, 12.0])
outcomes = st.lists(st.booleans(), min_size=1, max_size=40).map(lambda drawn: np.array(drawn))
shares = st.floats(0.05, 1.0)


def even(n):
    return np.ones(n)


def every_order(weight, truly_right):
    """Every order in which all tasks can be drawn: (chance, right, share)."""
    for order in permutations(range(len(weight))):
        drawn = weight[list(order)]
        remaining = drawn[::-1].cumsum()[::-1]
        least = np.minimum.accumulate(drawn[::-1])[::-1]
        yield np.prod(drawn / remaining), truly_right[list(order)], least / drawn


@pytest.mark.parametrize("weight", [np.ones(5), UNEVEN, UNEVEN[::-1]], ids=["even", "uneven", "reversed"])
@pytest.mark.parametrize("count", range(1, 5))
@pytest.mark.parametrize("alpha", [0.01, 0.6])
def test_wealth_under_the_truth_is_one_on_average_after_every_audit(weight, count, alpha):
    truly_right = np.arange(5) < count
    mean = sum(
        chance * (WEIGHTS @ np.exp(Betting(right, share, 5, alpha).log_wealth(count)))
        for chance, right, share in every_order(weight, truly_right)
    )
    np.testing.assert_allclose(mean, 1.0, rtol=1e-12)


@pytest.mark.parametrize("weight", [np.ones(5), UNEVEN], ids=["even", "uneven"])
@pytest.mark.parametrize("count", range(6))
@pytest.mark.parametrize("alpha", [0.2, 0.5, 0.9])
def test_it_misses_at_any_look_no_more_often_than_it_says(weight, count, alpha):
    truly_right = np.arange(5) < count
    missed = sum(
        chance
        for chance, right, share in every_order(weight, truly_right)
        if (lower_bounds(right, 5, share, alpha) > count / 5).any()
    )
    assert missed <= alpha


@pytest.mark.parametrize("accuracy", [0.6, 0.9, 0.99])
def test_simulated_campaigns_with_a_look_after_every_audit_rarely_miss_and_come_close(accuracy):
    tasks, n, campaigns = 20_000, 300, 200
    random = np.random.default_rng(7)
    truly_right = np.arange(tasks) < round(accuracy * tasks)
    missed, distance, fixed_sample = 0, 0.0, 0.0
    for _ in range(campaigns):
        right = random.permutation(truly_right)[:n]
        bound = Betting(right, even(n), tasks, 0.05).fewest_right() / tasks
        missed += bound > accuracy
        distance += accuracy - bound
        fixed_sample += accuracy - beta.ppf(0.05, right.sum(), n - right.sum() + 1)
    assert missed <= 0.06 * campaigns
    assert distance <= 1.6 * fixed_sample


def test_tasks_drawn_unevenly_and_wrong_where_they_are_drawn_most_do_not_deceive_it():
    tasks, n = 1000, 200
    weight = np.repeat([1.0, 10.0], tasks // 2)
    truly_right = weight > 1  # audits see mostly right labels, of which there are but half
    missed = 0
    for seed in range(200):
        row, probability, least = draw_audits(weight, n, seed)
        share = least / probability
        assert Betting(truly_right[row], even(n), tasks, 0.05).fewest_right() > tasks // 2
        missed += Betting(truly_right[row], share, tasks, 0.05).fewest_right() > tasks // 2
    assert missed <= 12


@given(outcomes, st.integers(0, 60), shares, st.sampled_from([0.01, 0.05, 0.5]))
def test_wealth_falls_with_the_number_supposed_to_be_right(right, more, share, alpha):
    share = np.resize([share, 1.0, share**2], len(right))
    betting = Betting(right, share, len(right) + more, alpha)
    refuted_at = [betting.refuted_at(count) for count in range(betting.n_tasks + 1)]
    assert refuted_at == sorted(refuted_at)
    assert refuted_at[-1] == len(right)
    # Wealth counts while the number is still possible at all.
    possible = [count for count in range(betting.n_tasks + 1) if right.sum() <= count <= betting.most_right[-1]]
    wealth = [np.exp(betting.log_wealth(count)[:, -1]) for count in possible]
    for fewer, another in zip(wealth, wealth[1:], strict=False):
        assert (another <= fewer * (1 + 1e-9)).all()


@given(outcomes, st.integers(0, 1000), shares, st.data())
def test_an_audit_that_turns_out_right_never_lowers_the_bound(right, more, share, data):
    share = np.resize([share, 1.0], len(right))
    better = right.copy()
    better[data.draw(st.integers(0, len(right) - 1))] = True
    tasks = len(right) + more
    assert (lower_bounds(better, tasks, share) >= lower_bounds(right, tasks, share) - 0.004).all()
    assert Betting(better, share, tasks, 0.05).fewest_right() >= Betting(right, share, tasks, 0.05).fewest_right()


@settings(deadline=None)
@given(outcomes, st.integers(0, 3000), st.sampled_from([0.01, 0.3]))
def test_every_step_of_the_path_is_the_bound_of_its_prefix(right, more, alpha):
    tasks = len(right) + more
    path = lower_bounds(right, tasks, alpha=alpha)
    exact = [Betting(right[:n], even(n), tasks, alpha).fewest_right() / tasks for n in range(1, len(right) + 1)]
    assert path[-1] == exact[-1]
    assert (path <= np.array(exact) + 1e-12).all()
    assert (path >= np.array(exact) - 0.004).all()


def test_less_confidence_and_more_audits_give_a_higher_bound():
    right = np.ones(200, np.bool_)
    path = lower_bounds(right, 10_000)
    assert 0.97 < path[-1] < 0.99
    assert (np.diff(path) >= 0).all() and path[99] < path[-1]
    assert lower_bounds(right, 10_000, alpha=0.01)[-1] < path[-1] < lower_bounds(right, 10_000, alpha=0.2)[-1]


def test_a_small_set_is_bounded_more_tightly_and_known_once_all_is_audited():
    right = np.arange(100) % 10 > 0
    assert lower_bounds(right, 120)[-1] > lower_bounds(right, 200)[-1] > lower_bounds(right, 100_000)[-1]
    assert lower_bounds(right, 100)[-1] == 0.9
    assert lower_bounds(np.zeros(5, np.bool_), 5).tolist() == [0.0] * 5
    assert lower_bounds(np.array([], np.bool_), 5).tolist() == []


def test_a_bound_that_an_audit_disproves_is_withdrawn():
    right = np.arange(100) < 90
    path = lower_bounds(right, 100)
    assert path[89] > 0.95
    assert path[[95, 99]].tolist() == [0.94, 0.9]
    assert Betting(right, even(100), 100, 0.05).fewest_right() == 90


def test_draws_follow_the_weights_of_the_tasks_that_remain():
    drawn = [draw_audits(np.array([1.0, 2.0, 5.0]), 3, seed) for seed in range(4000)]
    first = np.bincount([row[0] for row, _, _ in drawn], minlength=3) / len(drawn)
    np.testing.assert_allclose(first, [1 / 8, 2 / 8, 5 / 8], atol=0.03)
    second = np.bincount([row[1] for row, _, _ in drawn if row[0] == 2], minlength=3)
    np.testing.assert_allclose(second / second.sum(), [1 / 3, 2 / 3, 0], atol=0.04)
    for row, probability, least in drawn[:20]:
        if row.tolist() == [2, 0, 1]:
            np.testing.assert_allclose(probability, [5 / 8, 1 / 3, 1.0])
            np.testing.assert_allclose(least, [1 / 8, 1 / 3, 1.0])
    assert any(row.tolist() == [2, 0, 1] for row, _, _ in drawn[:20])


def test_drawing_more_goes_on_where_fewer_ended():
    for fewer, more in zip(draw_audits(UNEVEN, 2, seed=3), draw_audits(UNEVEN, 4, seed=3), strict=True):
        assert fewer.tolist() == more[:2].tolist()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: lower_bounds(np.ones(3, np.bool_), 2), "3 audits of 2 labels; each label can be audited once"),
        (lambda: lower_bounds(np.ones(1, np.bool_), 2, alpha=1.5), "alpha is 1.5; expected a number between 0 and 1"),
        (lambda: lower_bounds(np.ones(1, np.bool_), 2, alpha=float("nan")), "alpha is nan"),
        (
            lambda: lower_bounds(np.ones(2, np.bool_), 2, np.array([1.0, 0.0])),
            "share in row 1 is 0.0; expected more than 0",
        ),
        (lambda: lower_bounds(np.ones(2, np.bool_), 2, np.ones(3)), r"share has shape \(3,\); expected \(2,\)"),
        (lambda: draw_audits(np.array([1.0, -1.0]), 1, 0), "weight in row 1 is -1.0; expected a positive number"),
        (lambda: draw_audits(np.array([np.inf]), 1, 0), "weight in row 0 is inf; expected a positive number"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()
