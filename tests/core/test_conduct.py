"""What an annotator's answers say of the annotator."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from aggregation.core.conduct import agreement, share_bounds
from aggregation.core.votes import Votes


def test_a_share_in_figures_and_bounds():
    low, high = share_bounds(12, 20, 0.95)
    assert (round(low, 3), round(high, 3)) == (0.394, 0.783)
    assert share_bounds(0, 0) == (0.0, 1.0)
    assert share_bounds(0, 9)[0] == 0.0 and share_bounds(9, 9)[1] == 1.0


@given(trials=st.integers(1, 200), share=st.floats(0, 1), confidence=st.floats(0.5, 0.999))
def test_each_bound_is_where_the_figure_becomes_improbable(trials, share, confidence):
    successes = round(share * trials)
    low, high = share_bounds(successes, trials, confidence)
    assert 0 <= low <= successes / trials <= high <= 1 or confidence < 0.6
    if successes:
        assert binom.sf(successes - 1, trials, low) == pytest.approx(1 - confidence, abs=1e-6)
    if successes < trials:
        assert binom.cdf(successes, trials, high) == pytest.approx(1 - confidence, abs=1e-6)


@pytest.mark.parametrize("bad", [(3, 2, 0.95), (-1, 2, 0.95), (1, 2, 1.0)])
def test_no_share_has_no_bounds(bad):
    with pytest.raises(ValueError, match="is no share"):
        share_bounds(*bad)


def votes_of(table):
    """Votes from a label for each task (row) and annotator (column), -1 for none."""
    table = np.array(table)
    task, annotator = np.nonzero(table >= 0)
    columns = (task.astype(np.int32), annotator.astype(np.int32), table[task, annotator].astype(np.int32))
    return Votes(*columns, len(table), table.shape[1], max(2, int(table.max()) + 1))


def test_agreement_is_with_the_others_favourite():
    found = agreement(votes_of([[0, 0, 1], [1, 1, 1], [0, 1, -1], [0, -1, -1], [0, 1, 1]]))
    # Task 0: the third sees two votes for 0; the others see one vote each way and compare nothing.
    assert found.compared.tolist() == [3, 2, 2]
    assert found.agreed.tolist() == [1, 1, 1]


def test_who_guesses_agrees_as_often_as_chance_has_it():
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 3, 3000)
    table = np.stack([truth, truth, truth, rng.integers(0, 3, 3000), np.zeros(3000, dtype=int)], axis=1)
    found = agreement(votes_of(table))
    share = found.agreed / found.compared
    assert share[:3].tolist() == [1, 1, 1] and found.chance[0] == pytest.approx(1 / 3, abs=0.02)
    np.testing.assert_allclose(share[3:], found.chance[3:], atol=0.03)
