"""What a refit finds out about annotators for the rules, stored where the rules read it."""

from __future__ import annotations

import numpy as np
from django.db import transaction

from aggregation.core.conduct import agreement
from aggregation.core.copying import Copying, copying
from aggregation.core.fit import Fit
from aggregation.models import Run
from aggregation.services.fitting import Loaded
from projects.models import Condition, Conduct, Project, Rule

#: Conditions that are judged by what is stored here.
STORED = {Condition.CHANCE, Condition.COPYING}


def record_conduct(*, project: Project, run: Run, loaded: Loaded, fit: Fit) -> None:
    """Store everybody's agreement with others and, if a rule asks for it, copying; nothing if no rule asks."""
    asked = set(Rule.objects.filter(project=project, ended_at__isnull=True).values_list("condition", flat=True))
    if not asked & STORED:
        return
    found = agreement(loaded.votes)
    pairs = copying(loaded.votes, fit, loaded.gold) if Condition.COPYING in asked else None
    ids = loaded.annotator_ids.tolist()
    partners = {} if pairs is None else _plainest(pairs, ids)
    rows = [
        Conduct(
            annotator_id=id_,
            project=project,
            compared=compared,
            agreed=agreed,
            chance=chance,
            run=run.id,
            **_copying(pairs, *partners[row], ids=ids) if pairs is not None and row in partners else {},
        )
        for row, (id_, compared, agreed, chance) in enumerate(
            zip(ids, found.compared.tolist(), found.agreed.tolist(), found.chance.tolist(), strict=True)
        )
        if id_ >= 0
    ]
    with transaction.atomic():
        Conduct.objects.filter(project=project).delete()
        Conduct.objects.bulk_create(rows, batch_size=5000)


def _plainest(pairs: Copying, ids: list[int]) -> dict[int, tuple[int, int]]:
    """For each annotator of a pair of people the other one and the pair's row, of the pair least probable by chance."""
    partners: dict[int, tuple[int, int]] = {}
    for row in np.argsort(pairs.adjusted, kind="stable").tolist():
        one, other = int(pairs.first[row]), int(pairs.second[row])
        if min(ids[one], ids[other]) < 0:
            continue
        partners.setdefault(one, (other, row))
        partners.setdefault(other, (one, row))
    return partners


def _copying(pairs: Copying, partner: int, row: int, *, ids: list[int]) -> dict[str, object]:
    return {
        "partner_id": ids[partner],
        "copied": float(pairs.score[row]),
        "wrong": int(pairs.wrong[row]),
        "p_value": float(pairs.adjusted[row]),
    }
