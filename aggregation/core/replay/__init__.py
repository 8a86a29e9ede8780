"""Replay: what a policy would have made of votes that are recorded already.

One vote after the other is revealed: of the task that the policy would hand out next, one of its recorded votes that
are not yet revealed, drawn evenly (`recording`). In between all is as in the service, by the same functions: each vote
updates its task's posterior by the confusions of the last refit (`refits`), which moves its place (`turns`) and may
retire it (`stopping`); after every fiftieth of the votes the label model is refitted, now and then the learner is
retrained (`champion`), and audits certify what it labels alone (`machine`). The policy sees no vote before it is
revealed, and of the truth only what it says is known beforehand.

Tasks are handed out to several annotators at a time, so a task gets one vote of a round at most, as long as others are
open: the votes of one round do not know each other.
"""

from aggregation.core.replay.campaign import REFITS, Replayed, replay
from aggregation.core.replay.champion import Teach
from aggregation.core.replay.turns import Features

__all__ = ["REFITS", "Features", "Replayed", "Teach", "replay"]
