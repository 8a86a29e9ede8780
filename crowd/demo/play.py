"""The demo as a whole: a stack of its own, four acts through its public API, figures, and a verdict."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from crowd.demo import act1, act2, act3, act4, digits
from crowd.demo.client import Client, sign_in_by_link
from crowd.demo.recorded import RecordedCrowd, bluebird
from crowd.supervisor.home import own_environment
from crowd.supervisor.parts import BASE_DIR, MANAGE
from crowd.supervisor.stack import RunningStack, running_stack

DIGITS_FOR_NEWCOMERS = 40

Say = Callable[[str], object]
Figures = dict[str, Any]


@dataclass(frozen=True)
class Wishes:
    """What the command line asks for."""

    seeds: int = 1
    port: int = 0
    serve: bool = False
    json_file: Path | None = None
    recorded: RecordedCrowd | None = None  # in place of act 1's
    recorded_name: str = ""


def play(wishes: Wishes, say: Say) -> list[str]:
    """Play everything; what, if anything, kept the loop from having really run."""
    began = time.monotonic()
    say("Starting database, web server, worker and beat on a throw-away data directory ...")
    with running_stack(port=wishes.port) as stack, httpx.HTTPTransport() as transport:
        say(f"running on {stack.url} after {time.monotonic() - began:.1f} s\n")
        manager = sign_in_by_link(stack.link, transport, name="demo")
        figures: Figures = {}
        figures["act1"] = _timed(lambda: _play_act1(manager, transport, wishes, say))
        say(f"  ({figures['act1']['seconds']:.0f} s)\n")
        figures["act2"] = _timed(lambda: act2.play(manager, transport, range(wishes.seeds), say))
        if not wishes.recorded:
            figures["act3"] = _timed(lambda: act3.play(manager, transport, bluebird(), figures["act1"]["project"], say))
            say(f"  ({figures['act3']['seconds']:.0f} s)\n")
        figures["act4"] = _timed(lambda: act4.play(manager, transport, say))
        say(f"  ({figures['act4']['seconds']:.0f} s)\n")
        problems = what_is_missing(figures)
        figures["seconds"] = round(time.monotonic() - began, 1)
        if wishes.json_file:
            wishes.json_file.write_text(json.dumps(figures, indent=2) + "\n")
        say("".join(f"{problem}\n" for problem in problems) + f"{figures['seconds']:.0f} s in all")
        if wishes.serve:
            _serve(stack, manager, say)
    return problems


def _play_act1(manager: Client, transport: httpx.BaseTransport, wishes: Wishes, say: Say) -> Figures:
    if wishes.recorded:
        return act1.play_import(manager, wishes.recorded, wishes.recorded_name, say)
    return act1.play(manager, transport, bluebird(), say)


def _timed(act: Callable[[], Figures]) -> Figures:
    began = time.monotonic()
    return act() | {"seconds": round(time.monotonic() - began, 1)}


def what_is_missing(figures: Figures) -> list[str]:
    """Why the loop has not really run; empty if it has."""
    problems = []
    for seed in figures["act2"]["seeds"]:
        problems += [
            f"seed {seed['seed']}: no {name} happened"
            for name in ("leases", "votes", "refits", "retrainings")
            if not seed[name]
        ]
    for name in {"act1", "act2", "act3"} & figures.keys():
        if figures[name]["overfilled_tasks"]:
            problems.append(f"{name}: {figures[name]['overfilled_tasks']} tasks got more votes than their redundancy")
    if "act4" in figures and not figures["act4"]["reviewed"]:
        problems.append("act4: no audit was answered")
    return problems


def _serve(stack: RunningStack, manager: Client, say: Say) -> None:
    """Leave it running, with something to do for a newcomer, until Ctrl-C."""
    project = open_for_newcomers(manager)
    say("")
    say(f"Crowd is running on {stack.url}")
    say(f"  sign in once as manager    {fresh_sign_in_link(stack.home)}")
    say(f"  then label a digit         {stack.url}/annotate/?project={project}")
    say("Its data is thrown away at the end. Ctrl-C stops everything.")
    with suppress(KeyboardInterrupt):
        stack.process.wait()
    say("")


def open_for_newcomers(manager: Client) -> int:
    """A small project with digits that anybody can read; its id."""
    settings = {
        "name": "Label a digit",
        "labels": digits.LABELS,
        "instructions": "Which digit is it? Press its key, or skip one that nobody could read.",
        "learner": "numeric",
        "learner_fields": digits.FIELDS,
        "retrain_after_votes": 10,
    }
    project: int = manager.ok("POST", "/api/projects", settings)["id"]
    payloads = digits.load(0).payloads[:DIGITS_FOR_NEWCOMERS]
    manager.ok("POST", f"/api/projects/{project}/tasks", [{"data": data} for data in payloads])
    return project


def fresh_sign_in_link(home: Path) -> str:
    """A new one-time link for the first manager, made as an operator makes one: the stack's first was ours."""
    command = [*MANAGE, "sign_in_link"]
    environment = own_environment() | {"CROWD_HOME": str(home)}
    made = subprocess.run(command, cwd=BASE_DIR, env=environment, capture_output=True, text=True, check=True)
    return made.stdout.split()[-1]
