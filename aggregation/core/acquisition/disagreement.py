"""Where voters, or the members of a committee, contradict each other."""

from __future__ import annotations

import numpy as np

from aggregation.core.acquisition.uncertainty import entropy, nats
from aggregation.core.votes import Floats


def vote_entropy(counts: Floats) -> Floats:
    """How far votes disagree, f8[T] in 0..1: entropy of the votes and one more for each label, by log K.

    counts: f8[T, K], votes for each label. 1 without votes and where they are even, ever less the more agree: so one
    vote alone, which nothing contradicts yet, is not taken for agreement. It knows no annotators, and still sees a
    dispute where the label model has taken sides. Dagan, I. and Engelson, S. P.: Committee-Based Sampling For Training
    Probabilistic Classifiers, ICML 1995, doi:10.1016/B978-1-55860-377-6.50027-X.
    """
    return entropy((counts + 1.0) / (counts.sum(axis=-1, keepdims=True) + counts.shape[-1]))


def bald(members: Floats) -> Floats:
    """What knowing which member is right would tell of a task's label, as a share of log K: f8[T] in 0..1.

    members: f8[M, T, K], predictions of M learners taught on different rows (`Learned.member_proba`). The entropy of
    their mean less the mean of their entropies: high where each is sure and they differ, 0 where all doubt alike, as
    no further example would settle that. Houlsby, N. et al.: Bayesian Active Learning for Classification and
    Preference Learning, 2011, arXiv:1112.5745.
    """
    K = members.shape[-1]
    if K < 2:
        return np.zeros(members.shape[1:-1])
    told = nats(members.mean(axis=0)) - nats(members).mean(axis=0)
    return np.asarray(np.clip(told / np.log(K), 0.0, 1.0))
