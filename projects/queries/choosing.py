"""Tasks chosen for the annotator who asks."""

from projects.queries.gold import inject
from projects.queries.leases import CANDIDATE, FIRST, IDLE, LEASE_STATEMENT, MAY_BE_GIVEN, MISSING, PLAIN
from projects.queries.recompute import tasks_with_votes

# What there is to choose from: of the first tasks of the queue those that LEASE would give this annotator, 32 more than
# they ask for, with all that their posteriors are made of. Nothing is locked. Indexes as LEASE and TASKS_WITH_VOTES.
_TO_CHOOSE_FROM = """
WITH first AS MATERIALIZED ({first}
        LIMIT 32 + %(count)s::int
), known (task, votes, redundancy, settled, gold, prediction, settings, model, label, vector, accuracy) AS ({rows})
SELECT known.*, first.rank FROM known JOIN first ON first.task_id = known.task ORDER BY first.rank, known.task
"""


def _to_choose_from(confirming: bool) -> str:
    rows = tasks_with_votes("ARRAY(SELECT task_id FROM first)", confirming=confirming)
    return _TO_CHOOSE_FROM.format(first=MAY_BE_GIVEN.format(queue=FIRST, idle=IDLE), rows=rows)


TO_CHOOSE_FROM, TO_CHOOSE_FROM_CONFIRMING = _to_choose_from(False), _to_choose_from(True)

# What a refit has made of an annotator: a row for each voted label, or one. Indexes: primary key, confusion_once.
CONFUSION_OF = """
SELECT k.accuracy, c.voted, c.vector
FROM (SELECT %(annotator)s::bigint AS id) a
LEFT JOIN projects_skill k ON k.annotator_id = a.id
LEFT JOIN projects_confusion c ON c.annotator_id = a.id
"""

# As LEASE, of the tasks chosen, the first ones first: what others have taken since is passed over. LEASE does the rest
# in the same transaction.
_CHOSEN = """
    SELECT task_id, rank FROM unnest(%(tasks)s::bigint[]) WITH ORDINALITY AS chosen(task_id, rank)
    ORDER BY rank
"""
LEASE_CHOSEN = LEASE_STATEMENT.format(
    candidates=f"candidate AS ({CANDIDATE.format(queue=_CHOSEN, idle=IDLE, limit=MISSING)})",
    reached=")",
    order="given.leased_at NULLS LAST, given.rank, given.task_id",
    **PLAIN,
)
# As INJECT.
INJECT_CHOSEN = inject(_CHOSEN, IDLE)

__all__ = ["CONFUSION_OF", "INJECT_CHOSEN", "LEASE_CHOSEN", "TO_CHOOSE_FROM", "TO_CHOOSE_FROM_CONFIRMING"]
