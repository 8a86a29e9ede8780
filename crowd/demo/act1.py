"""Act 1: a real crowd. Bluebird's people answer over HTTP as they once did, or other recorded votes are imported."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
from tqdm import tqdm

from crowd.demo import watching
from crowd.demo.client import Client, NothingHappened
from crowd.demo.crowd import Annotator, Answer, Campaign, invite_all
from crowd.demo.recorded import RecordedCrowd

#: Tasks that a person leases, and votes that they send, at a time.
BATCH = 36

Say = Callable[[str], object]
Figures = dict[str, Any]


def play(manager: Client, transport: httpx.BaseTransport, crowd: RecordedCrowd, say: Say) -> Figures:
    """Everybody joins, leases and answers what they answered then, until nothing is left for anybody."""
    say("Act 1: a real crowd")
    say(f"{len(crowd.workers)} people tell apart two species of birds on {len(crowd.tasks)} photographs. Their votes")
    say("were recorded for a paper of 2010 (crowd/demo/data/bluebird). Everybody sees everything: stopping is off.")
    project = manager.ok(
        "POST",
        "/api/projects",
        {
            "name": "Bluebirds",
            "labels": crowd.labels,
            "instructions": "Indigo Bunting or Blue Grosbeak? The source calls them 0 and 1.",
            "redundancy": len(crowd.workers),
            "target_confidence": None,
        },
    )["id"]
    tasks = [{"key": task, "data": {"image": f"bird {task}"}} for task in crowd.tasks]
    manager.ok("POST", f"/api/projects/{project}/tasks", tasks)
    clients = invite_all(manager, project, [f"bluebird-{worker}" for worker in crowd.workers], transport)
    answers = answers_of(crowd)
    with tqdm(total=len(crowd.votes), desc="votes", unit=" votes", disable=None) as bar:
        people = [Annotator(client, answers[worker]) for client, worker in zip(clients, crowd.workers, strict=True)]
        campaign = Campaign(project, people, bar.update)
        while campaign.round(BATCH * len(people), most=BATCH):
            continue
    if campaign.votes != len(crowd.votes):
        raise NothingHappened(f"{campaign.votes} of {len(crowd.votes)} votes were asked for")
    return _figures(manager, project, crowd, say) | {"leases": campaign.leases}


def answers_of(crowd: RecordedCrowd) -> dict[str, Answer]:
    """For each worker, what they answer to a task's data."""
    given: dict[str, dict[str, str]] = defaultdict(dict)
    for task, worker, label in crowd.votes:
        given[worker][f"bird {task}"] = label
    return {worker: partial(_remember, mine) for worker, mine in given.items()}


def _remember(mine: dict[str, str], data: Any) -> str:
    return mine[data["image"]]


def play_import(manager: Client, crowd: RecordedCrowd, name: str, say: Say) -> Figures:
    """Somebody's recorded votes, imported at once."""
    say(f"Act 1: recorded votes from {name}, imported")
    project = manager.ok("POST", "/api/projects", {"name": name[:200], "labels": crowd.labels, "redundancy": 1})["id"]
    lines = b"".join(json.dumps({"key": task, "data": {"task": task}}).encode() + b"\n" for task in crowd.tasks)
    _upload(manager, f"/api/projects/{project}/tasks", lines, "application/x-ndjson")
    _upload(manager, f"/api/projects/{project}/votes/import", crowd.as_csv(), "text/csv")
    return _figures(manager, project, crowd, say)


def _upload(manager: Client, path: str, body: bytes, media_type: str) -> None:
    manager.ok("POST", path, content=body, headers={"Content-Type": media_type})


def _figures(manager: Client, project: int, crowd: RecordedCrowd, say: Say) -> Figures:
    statistics = watching.wait_for_consensus(manager, project)
    consensus = watching.published(manager, project)
    overfilled = watching.overfilled(watching.tasks(manager, project))
    say(
        f"{statistics['votes']:,} votes by {statistics['annotators']} annotators on {statistics['tasks']:,} tasks, "
        f"{statistics['refits']} refits"
    )
    gold = crowd.gold
    majority_accuracy = watching.accuracy(crowd.majority(), gold) if gold else None
    consensus_accuracy = watching.accuracy(consensus, gold) if gold else None
    if gold:
        say(f"accuracy on {len(gold):,} gold labels, which nobody was shown:")
        say(f"  majority vote   {majority_accuracy:6.1%}")
        say(f"  our consensus   {consensus_accuracy:6.1%}")
    else:
        say("no gold labels were given, so nobody can say how accurate the consensus is")
    return {
        "project": project,
        "tasks": statistics["tasks"],
        "votes": statistics["votes"],
        "annotators": statistics["annotators"],
        "gold": len(gold),
        "majority_accuracy": majority_accuracy,
        "consensus_accuracy": consensus_accuracy,
        "refits": statistics["refits"],
        "overfilled_tasks": overfilled,
    }
