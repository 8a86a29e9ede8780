"""Worker Agreement with Aggregate: votes count by how often their annotator agrees with the majority.

As defined and named by Appen, and by crowd-kit: Ustalov, D., Pavlichenko, N. and Tseitlin, B.: Learning from Crowds
with Crowd-Kit, Journal of Open Source Software 9(96), 2024, doi:10.21105/joss.06227.
"""

from __future__ import annotations

from aggregation.core.fit import Fit, Start, check_start, read_off
from aggregation.core.majority_vote import agreement, vote_shares
from aggregation.core.votes import Ints, Votes, check_gold


def fit(votes: Votes, gold: Ints | None = None, start: Start | None = None) -> Fit:
    """Shares of the votes f8[T, K], each weighted by its annotator's agreement with majority vote (and with gold).

    Where labels tie for the majority, agreeing with one of them counts in part. gold: int32[T], -1 where unknown.
    start: f8[T, K]; checked, but there is nothing to begin from. Raises ValueError on bad gold or start.
    """
    check_start(start, votes)
    known = check_gold(gold, votes)
    majority, _ = vote_shares(votes, known)
    return read_off(votes, *vote_shares(votes, known, agreement(votes, majority)))
