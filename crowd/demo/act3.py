"""Act 3: decide before you pay. A backtest of act 1's votes forecasts what a cheaper policy costs; then it is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
from tqdm import tqdm

from crowd.demo import watching
from crowd.demo.act1 import answers_of
from crowd.demo.client import Client, NothingHappened, wait_for
from crowd.demo.crowd import Annotator, Campaign, invite_all
from crowd.demo.recorded import RecordedCrowd

SETTINGS = {"redundancy": 12, "target_confidence": 0.95, "min_votes": 6}
#: Votes between two pauses of the crowd in which the label model catches up, and what a person leases at a time.
BLOCK, BATCH = 80, 3
SECONDS_FOR_A_BACKTEST = 300.0

Say = Callable[[str], object]
Figures = dict[str, Any]
ROW = "  {:<34} {:>6}   {}"


def play(manager: Client, transport: httpx.BaseTransport, crowd: RecordedCrowd, project: int, say: Say) -> Figures:
    """project: act 1's, where everybody has answered everything."""
    say("Act 3: decide before you pay")
    say("What if each photograph got at least 6 and at most 12 votes, and none once its label is 95 % sure? The")
    say("service replays act 1's votes under these settings (a backtest); then the same people work under them.")
    forecast = _forecast(manager, project)
    happened = _do(manager, transport, crowd)
    everybody = watching.published(manager, project)
    happened["agreement"] = watching.accuracy(watching.published(manager, happened["project"]), everybody)
    end = forecast["curve"][-1]
    votes = round(forecast["votes_used"] * len(crowd.votes))
    say(ROW.format("", "votes", "agree with everybody's consensus"))
    say(ROW.format("act 1, everybody sees everything", f"{len(crowd.votes):,}", " 100.0%"))
    band = f"{end['accuracy']:7.1%}   nine tenths of replays: {end['low']:.1%} to {end['high']:.1%}"
    say(ROW.format("forecast by the backtest", f"{votes:,}", band))
    say(ROW.format("what happened", f"{happened['votes']:,}", f"{happened['agreement']:7.1%}"))
    told = {"votes": votes, "agreement": end["accuracy"], "low": end["low"], "high": end["high"]}
    return {"forecast": told, **happened}


def _forecast(manager: Client, project: int) -> Figures:
    asked = manager.ok("POST", f"/api/projects/{project}/backtests", SETTINGS)["id"]

    def finished() -> Figures | None:
        found: Figures = manager.ok("GET", f"/api/projects/{project}/backtests/{asked}")
        return found if found["finished_at"] else None

    found = wait_for(finished, SECONDS_FOR_A_BACKTEST, "the backtest")
    if found["result"] is None:
        raise NothingHappened(f"the backtest failed: {found['error']}")
    what_if: Figures = found["result"]["what_if"]
    return what_if


def _do(manager: Client, transport: httpx.BaseTransport, crowd: RecordedCrowd) -> Figures:
    """The same people on the same photographs, stopped by the settings."""
    project = manager.ok(
        "POST", "/api/projects", {"name": "Bluebirds, fewer votes", "labels": crowd.labels, **SETTINGS}
    )["id"]
    tasks = [{"key": task, "data": {"image": f"bird {task}"}} for task in crowd.tasks]
    manager.ok("POST", f"/api/projects/{project}/tasks", tasks)
    clients = invite_all(manager, project, [f"thrifty-{worker}" for worker in crowd.workers], transport)
    answers = answers_of(crowd)
    people = [Annotator(client, answers[worker]) for client, worker in zip(clients, crowd.workers, strict=True)]
    with tqdm(desc="votes", unit=" votes", disable=None) as bar:
        campaign = Campaign(project, people, bar.update)
        while campaign.round(BLOCK, most=BATCH):
            watching.wait_for_consensus(manager, project)
    statistics = watching.wait_for_consensus(manager, project)
    overfilled = watching.overfilled(watching.tasks(manager, project))
    return {"project": project, "votes": statistics["votes"], "overfilled_tasks": overfilled}
