"""Act 4: the machine alone. Audits certify how often it is wrong at most; then it labels without anybody."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np

from crowd.demo import digits, watching
from crowd.demo.client import Client
from crowd.demo.crowd import Annotator, Campaign, invite_all

#: Digits that people have labelled before, and votes on each.
TAUGHT, VOTES = 500, 3
ERROR, CONFIDENCE = 0.05, 0.95
SETTINGS = {
    "labels": digits.LABELS,
    "redundancy": VOTES,
    "learner": "images",
    "learner_fields": digits.FIELDS,
    "retrain_after_votes": 1_000_000,
    "retrain_after_minutes": 10_000,
    "auto_label_error": ERROR,
    "auto_label_confidence": CONFIDENCE,
    "audit_share": 0.25,
}
#: Audits that one person answers at a time, and rounds of audits until we give up.
BATCH, ROUNDS = 20, 20
SECONDS_FOR_A_LOOK = 60.0

Say = Callable[[str], object]
Figures = dict[str, Any]
ROW = "  {:<34} {:>6}   {}"


def play(manager: Client, transport: httpx.BaseTransport, say: Say) -> Figures:
    data = digits.load(seed=0, hidden=0)
    rest = len(data.truth) - TAUGHT
    say("Act 4: the machine alone")
    say(f"{TAUGHT} digits have {VOTES} simulated votes each, and {rest:,} more arrive. The machine may label alone as")
    say(f"long as surely ({CONFIDENCE:.0%}) at most {ERROR:.0%} of these labels are wrong. Audits prove it: digits")
    say("drawn at random, answered by somebody who does not see what the machine says, and decided by an expert.")
    project = _taught(manager, data)
    audited = _audit(manager, transport, project, data)
    figures = _figures(manager, project, data) | {"project": project, "reviewed": audited, "arrived": rest}
    _say_figures(figures, say)
    return figures


def _taught(manager: Client, data: digits.Digits) -> int:
    """A project with a learner that some votes have taught; all other digits arrive after that."""
    project: int = manager.ok("POST", "/api/projects", {"name": "Digits, by machine", **SETTINGS})["id"]
    path = f"/api/projects/{project}"
    uploads = data.uploads()
    manager.ok("POST", f"{path}/tasks", uploads[:TAUGHT])
    random = np.random.default_rng(0)
    rows = [
        f"digit {task},simulated-{annotator:02},{data.answers[annotator, task]}"
        for task in range(TAUGHT)
        for annotator in random.permutation(len(data.answers))[:VOTES]
    ]
    text = "\n".join(["task,worker,label", *rows]).encode()
    manager.ok("POST", f"{path}/votes/import", content=text, headers={"Content-Type": "text/csv"})
    watching.wait_for_consensus(manager, project)
    # One answer is enough to an audit: an expert decides it.
    arriving = [{**task, "redundancy": 1} for task in uploads[TAUGHT:]]
    lines = b"".join(json.dumps(task).encode() + b"\n" for task in arriving)
    headers = {"Content-Type": "application/x-ndjson"}
    manager.ok("POST", f"{path}/tasks", content=lines, headers=headers)
    manager.ok("POST", f"{path}/retrain", {})
    watching.wait_for_retraining(manager, project, 1)
    return project


def _audit(manager: Client, transport: httpx.BaseTransport, project: int, data: digits.Digits) -> int:
    """People answer what is asked first, which are audits, and an expert decides them, until there is a certificate."""
    answerers = data.answerers()[:20]
    clients = invite_all(manager, project, [f"auditor-{a + 1:02}" for a in range(len(answerers))], transport)
    people = [Annotator(client, answer) for client, answer in zip(clients, answerers, strict=True)]
    campaign = Campaign(project, people, lambda votes: None)
    decided: set[int] = set()
    seen = _looked(manager, project, before=None)
    for _ in range(ROUNDS):
        if seen is None or seen["certificate"] is not None:
            break
        campaign.round(seen["waiting"], most=BATCH)
        for row in watching.tasks(manager, project)[TAUGHT:]:
            if row["votes"] and row["id"] not in decided:
                truth = data.truth_by_key[row["key"]]
                manager.ok("POST", f"/api/projects/{project}/reviews/{row['id']}", {"label": truth})
                decided.add(row["id"])
        manager.ok("POST", f"/api/projects/{project}/refit", {})
        seen = _looked(manager, project, before=seen)
    return len(decided)


def _looked(manager: Client, project: int, before: Figures | None) -> Figures | None:
    """The tiers as soon as a look has counted what was decided, and given its labels if there is a certificate.

    As they are if that takes too long.
    """
    deadline = time.monotonic() + SECONDS_FOR_A_LOOK
    while True:
        tiers: Figures | None = watching.statistics(manager, project)["tiers"]
        if tiers is not None and _is_over(tiers, before):
            return tiers
        if time.monotonic() > deadline:
            return tiers
        time.sleep(0.3)


def _is_over(tiers: Figures, before: Figures | None) -> bool:
    """Whether a look is. Its certificate is known before its labels are given, and how many there are after it."""
    if tiers["certificate"] is not None:
        return bool(tiers["auto"])
    return before is None or bool(tiers["audits"] > before["audits"])


def _figures(manager: Client, project: int, data: digits.Digits) -> Figures:
    tiers = watching.statistics(manager, project)["tiers"] or {}
    alone = watching.published(manager, project, source="machine")
    certificates = manager.ok("GET", f"/api/projects/{project}/certificates")["results"]
    issued = next((row for row in certificates if row["id"] == tiers.get("certificate")), None)
    return {
        "certified": issued is not None,
        "threshold": issued and issued["threshold"],
        "bound": issued and issued["figures"]["bound"],
        "audits": tiers.get("audits", 0),
        "audits_wrong": tiers.get("wrong", 0),
        "says": tiers.get("says", ""),
        "labelled_alone": len(alone),
        "wrong": sum(data.truth_by_key[key] != label for key, label in alone.items()),
    }


def _say_figures(figures: Figures, say: Say) -> None:
    if not figures["certified"]:
        say(f"  no certificate, so the machine labels nothing alone: {figures['says']}")
        return
    count, wrong, audits_wrong = (figures[name] for name in ("labelled_alone", "wrong", "audits_wrong"))
    say(ROW.format("audits that count", f"{figures['audits']:,}", f"{audits_wrong} of them found the machine wrong"))
    say(ROW.format("certified threshold", f"{figures['threshold']:.1%}", "the machine's probability of its label"))
    say(ROW.format("digits it labelled alone", f"{count:,}", f"of {figures['arrived']:,} that arrived, for no vote"))
    say(ROW.format("wrong at most, as is certified", f"{figures['bound']:.1%}", ""))
    say(ROW.format("wrong in truth", f"{wrong / max(count, 1):.1%}", f"{wrong} of them"))
