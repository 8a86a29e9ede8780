"""Where voters, or the members of a committee, contradict each other."""

from __future__ import annotations

import numpy as np

from aggregation.core.acquisition.uncertainty import nats
from aggregation.core.votes import Floats


def vote_entropy(counts: Floats) -> Floats:
    """Entropy of the votes themselves as a share of the most that so many could have, f8[T] in 0..1.

    counts: f8[T, K], votes for each label. 0 with fewer than two votes, which can't contradict each other; 1 if as few
    agree as possible. It knows no annotators, so it still sees a dispute where the label model has taken sides. Dagan,
    I. and Engelson, S. P.: Committee-Based Sampling For Training Probabilistic Classifiers, ICML 1995,
    doi:10.1016/B978-1-55860-377-6.50027-X.
    """
    total, K = counts.sum(axis=-1), counts.shape[-1]
    shares = counts / np.maximum(total, 1.0)[..., None]
    # The most even way to spread n whole votes: some labels get one more than the others.
    n = np.maximum(np.rint(total), 1.0)
    low, more = np.divmod(n, K)
    most = _nats_of(more, (low + 1.0) / n) + _nats_of(K - more, low / n)
    return np.asarray(np.minimum(nats(shares) / np.where(most > 0, most, np.inf), 1.0))


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


def _nats_of(times: Floats, p: Floats) -> Floats:
    return np.asarray(-times * p * np.log(np.where(p > 0, p, 1.0)))
