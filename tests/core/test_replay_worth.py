"""Replays in which a vote on a new task is worth more than its own label."""

import numpy as np

from aggregation.core.policy import Policy
from aggregation.core.replay import replay
from tests.core.test_replay import QUICK, K, T, crowd


def test_new_tasks_come_before_others_as_long_as_they_teach_the_learner():
    votes, truth = crowd(skill=0.6)

    def teach(rows, posterior, seed):  # knows a lot, and by heart what it has seen
        knows = np.full((T, K), 0.1)
        knows[np.arange(T), truth] = 0.8
        everywhere = knows.copy()
        everywhere[rows] = np.where(np.arange(K) == posterior.argmax(axis=1)[:, None], 0.98, 0.01)
        return knows[rows], everywhere

    def first_votes(acquisition):
        policy = Policy(learner="text", label_model=QUICK, acquisition=acquisition)
        found = replay(votes, truth, policy, seed=0, teach=teach)
        return len(np.unique(votes.task[found.revealed[:T]]))

    assert first_votes("new_or_relabel") == T > first_votes("entropy")
