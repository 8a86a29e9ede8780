"""What every fit says of its annotators."""

import numpy as np
import pytest

from aggregation.core import dawid_skene, hierarchical, majority_vote
from aggregation.core.fit import known_votes
from aggregation.core.simulation import dawid_skene_votes

from .strategies import as_votes


def test_most_skills_lie_in_their_intervals():
    votes, truth, confusion = dawid_skene_votes(7, 1500, 120, 3, 5, diagonal=5.0)
    fit = hierarchical.fit(votes)
    skill = np.einsum("akk,k->a", confusion, np.bincount(truth, minlength=3) / len(truth))
    lower, upper = fit.skill_interval.T
    assert 0.85 < ((lower <= skill) & (skill <= upper)).mean() <= 1.0
    assert 0.08 < (upper - lower).mean() < 0.3  # about 60 votes each


def test_a_skill_lies_in_its_interval_however_few_the_votes():
    votes = as_votes([(0, 0, 0), (0, 1, 0), (1, 0, 1)], 2, 4, 2)
    for fit in (majority_vote.fit(votes), hierarchical.fit(votes), dawid_skene.fit(votes)):
        lower, upper = fit.skill_interval.T
        assert ((lower >= 0) & (lower <= fit.skill + 1e-12) & (fit.skill <= upper + 1e-12) & (upper <= 1 + 1e-12)).all()
        assert (upper - lower > 0.3).all()


def test_more_votes_narrow_the_interval():
    few, many = (hierarchical.fit(dawid_skene_votes(8, n, 10, 2, 5)[0]).skill_interval for n in (40, 2000))
    assert (np.diff(many) < np.diff(few)).all()


@pytest.mark.parametrize(("posterior", "worth"), [([1.0, 0.0], 4.0), ([0.5, 0.5], 0.0)])
def test_votes_on_tasks_of_unknown_truth_tell_nothing(posterior, worth):
    votes = as_votes([(t, 0, 0) for t in range(4)], 4, 1, 2)
    np.testing.assert_allclose(known_votes(votes, np.tile(posterior, (4, 1)), 0.0), worth, atol=1e-12)
