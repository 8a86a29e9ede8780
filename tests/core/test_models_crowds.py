"""The crowds on which benchmarks measure losses against majority vote."""

import numpy as np
import pytest

from aggregation.core import dawid_skene, majority_vote
from benchmarks.crowds import GENERATORS

CROWDS = pytest.mark.parametrize("name", GENERATORS)


@CROWDS
def test_equal_seeds_give_equal_crowds(name):
    (votes, truth), (same, same_truth), (other, _) = (
        GENERATORS[name](np.random.default_rng(seed)) for seed in (3, 3, 4)
    )
    for field in ("task", "annotator", "label"):
        assert getattr(votes, field).tobytes() == getattr(same, field).tobytes()
    assert truth.tobytes() == same_truth.tobytes()
    assert votes.label.tobytes() != other.label.tobytes()


@CROWDS
@pytest.mark.parametrize("seed", range(5))
def test_a_crowd_is_a_small_campaign_that_people_mostly_get_right(name, seed):
    votes, truth = GENERATORS[name](np.random.default_rng(seed))
    assert 200 <= votes.n_tasks <= 1000 and 2 <= votes.n_labels <= 6
    assert truth.dtype == np.int32 and truth.shape == (votes.n_tasks,)
    assert 3 <= votes.per_task().sum(axis=1).min() <= votes.per_task().sum(axis=1).max() <= 15
    assert (votes.label == truth[votes.task]).mean() > 1 / votes.n_labels + 0.05


@CROWDS
def test_nobody_votes_twice_on_a_task(name):
    votes, _ = GENERATORS[name](np.random.default_rng(1))
    pairs = votes.task.astype(np.int64) * votes.n_annotators + votes.annotator
    assert len(np.unique(pairs)) == len(pairs)


def test_few_votes_each_are_one_to_five():
    votes, _ = GENERATORS["few_votes_each"](np.random.default_rng(2))
    each = np.bincount(votes.annotator)
    assert each.min() >= 1 and each.max() == 5


def test_dawid_skene_loses_to_majority_vote_on_them():
    losses = {name: max(loss(generator, seed) for seed in range(8)) for name, generator in GENERATORS.items()}
    assert min(losses.values()) > 0, losses
    assert max(losses.values()) > 0.1, losses


def loss(generator, seed):
    votes, truth = generator(np.random.default_rng(seed))
    ours = dawid_skene.fit(votes, max_iter=50)
    return (majority_vote.fit(votes).label == truth).mean() - (ours.label == truth).mean()
