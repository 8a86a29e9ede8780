"""The Poisson binomial tail, against SciPy's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from aggregation.core import poisson_binomial
from aggregation.core.poisson_binomial import upper_tail


def groups(seed, n_groups, longest):
    random = np.random.default_rng(seed)
    trials = random.integers(longest + 1, size=n_groups)
    successes = (random.random(n_groups) * (trials + 1)).astype(int)
    return random.random(trials.sum()) ** 3, trials, successes


def by_scipy(p, trials, successes):
    start = np.cumsum(trials) - trials
    return [
        stats.poisson_binom.sf(k - 1, p[first : first + n]) if n else 1.0
        for first, n, k in zip(start, trials, successes, strict=True)
    ]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), n_groups=st.integers(0, 12))
def test_the_tail_of_few_events_is_exact(seed, n_groups):
    case = groups(seed, n_groups, 15)
    np.testing.assert_allclose(upper_tail(*case), by_scipy(*case), rtol=1e-9, atol=1e-14)


def test_small_tails_keep_their_precision():
    p = np.full(40, 1e-3)
    assert upper_tail(p, np.array([40]), np.array([40]))[0] == np.prod(p)


def test_several_tables_give_the_same(monkeypatch):
    case = groups(1, 60, 30)
    whole = upper_tail(*case)
    monkeypatch.setattr(poisson_binomial, "ROOM", 50)
    np.testing.assert_array_equal(upper_tail(*case), whole)


def test_the_tail_of_many_events_is_bounded_from_above_and_not_by_far(monkeypatch):
    random = np.random.default_rng(2)
    p = random.uniform(0.1, 0.3, 400)
    trials, successes = np.array([400]), np.array([120])
    exact = upper_tail(p, trials, successes)[0]
    monkeypatch.setattr(poisson_binomial, "EXACT", 0)
    bound = upper_tail(p, trials, successes)[0]
    assert exact <= bound < 100 * exact < 1e-3
    assert upper_tail(p, trials, np.array([60]))[0] == 1.0  # fewer than expected
    assert upper_tail(np.full(3, 0.5), np.array([3]), np.array([3]))[0] == pytest.approx(0.125)  # all of them
