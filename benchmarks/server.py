"""How many votes a second the whole service takes, as a share of what its database could do.

    uv run benchmarks/server.py [--tasks 100000] [--clients 8] [--mode combined] [--seconds 30] [--json FILE]

Starts everything that `manage.py up` starts, in a throw-away folder; uploads the tasks; lets annotators work over HTTP
from a process of their own, each on one kept connection; and in slices between measures the ceiling: pgbench with as
many clients on `ceiling.sql`, two statements a cycle, in the same server. Only the share of that ceiling can be
compared, and on as many cores: a machine has faster and slower hours. Beside it stands the same share by processor time
spent on a cycle, which others at work on the machine disturb less. In the end, what must never happen is counted.

single      one lease, one vote
combined    `POST votes?next=1`: a vote that brings the next lease with it
batch       ten leases, ten votes; a cycle is one vote
veteran     single; one annotator has 100,000 votes already (half the tasks, if that is less), the others none: lease_ms
            and vote_ms are the veteran's, and the others' are beside them
publishing  single, while a refit publishes all tasks
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import psycopg

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.server_campaign import PUBLISHES, SETTLED, Campaign, make_campaign, settings_of
from benchmarks.server_ceiling import LEAST, ceiling, fsync_ms, make_ceiling
from benchmarks.server_cpu import cpu_between, cpu_seconds, machine, ours, server_threads
from benchmarks.server_driver import Driver
from benchmarks.server_violations import violations
from crowd.demo.client import Client, sign_in_by_link
from crowd.supervisor.stack import RunningStack, running_stack

MODES = ("single", "combined", "batch", "veteran", "publishing")

#: Until both web processes have imported and connected what they use; not counted.
WARM_UP_SECONDS = 1.0
#: Of the cores' time: so much for others, and rates say more of them than of the service.
DISTURBED = 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--clients", type=int, default=8, help="annotators at once, and clients of pgbench")
    parser.add_argument("--mode", choices=MODES, default="combined")
    parser.add_argument("--seconds", type=float, default=30, help="of the service's slices together, as of pgbench's")
    parser.add_argument("--slices", type=int, help="of either (default 3; publishing: 1)")
    parser.add_argument("--labels", type=int, default=2)
    parser.add_argument("--redundancy", type=int, default=3)
    parser.add_argument(
        "--recorded", type=int, default=0, help="votes that each task has before, beside its redundancy"
    )
    parser.add_argument("--setting", action="append", default=[], metavar="NAME=VALUE", help="another of the project's")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    wanted = parser.parse_args()
    wanted.slices = wanted.slices or (1 if wanted.mode == "publishing" else 3)
    with running_stack() as stack:
        figures = measure(stack, sign_in_by_link(stack.link, name="benchmark"), wanted)
    print(table(figures))
    if wanted.json:
        wanted.json.write_text(json.dumps(figures, indent=2) + "\n")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def measure(stack: RunningStack, manager: Client, wanted: argparse.Namespace) -> dict[str, Any]:
    """The figures of one campaign on a stack that runs."""
    url = json.loads((stack.home / "run" / "environment.json").read_text())["DATABASE_URL"]
    settings = settings_of(wanted.labels, wanted.recorded + wanted.redundancy, wanted.setting)
    with psycopg.connect(url, autocommit=True) as connection:
        campaign = make_campaign(
            manager, connection, tasks=wanted.tasks, clients=wanted.clients, settings=settings, say=say
        )
        if wanted.recorded:
            say(f"importing {wanted.recorded * wanted.tasks:,} votes …")
            campaign.import_votes(wanted.recorded)
        had = campaign.make_veteran() if wanted.mode == "veteran" else None
        make_ceiling(connection, wanted.tasks)
        campaign.tidy()
        slices, ceilings = [], []
        with Driver(stack.url, campaign, wanted.mode) as driver:
            warm_up = driver.drive(WARM_UP_SECONDS)
            for number in range(wanted.slices):
                campaign.wait_until(SETTLED, "an end of refits")
                say(f"slice {number + 1} of {wanted.slices}: ceiling …")
                seconds = wanted.seconds / wanted.slices
                ceilings.append(one_ceiling(stack, url, wanted, seconds))
                if wanted.mode == "publishing":
                    begin_to_publish(campaign, first=number == 0)
                say(f"slice {number + 1} of {wanted.slices}: service …")
                slices.append(one_slice(driver, stack, seconds))
        campaign.wait_until(SETTLED, "an end of refits")
        people = [person for each in (warm_up, *slices) for person in each["people"]]
        acknowledged = [vote for person in people for vote in person["acknowledged"]]
        figures = {
            **summary(slices, ceilings),
            **latencies(slices, wanted.mode),
            "cpu": cpu_shares(slices),
            "violations": violations(connection, campaign.project, acknowledged),
            "told": dict(sum((Counter(each["told"]) for each in slices), Counter())),
            "refused": sum(len(person["refused"]) for person in people),
            "first_refusal": next((each for person in people for each in person["refused"]), None),
            "upload_tasks_per_s": wanted.tasks / campaign.upload_seconds,
            "fsync_ms": fsync_ms(stack.home),
            "sizes_mb": campaign.sizes_mb(),
            "web": server_threads(stack),
            "machine": machine(str(connection.info.parameter_status("server_version"))),
        }
        if had is not None:
            figures["veteran_votes"] = had
        if wanted.mode == "publishing":
            figures["published"] = published(campaign, slices)
    asked = {name: value for name, value in vars(wanted).items() if name != "json"}
    return figures | asked


def begin_to_publish(campaign: Campaign, *, first: bool) -> None:
    say("waiting for a refit to publish …")
    if first:
        campaign.import_votes(1)
    else:
        campaign.request_refit()
    campaign.wait_until(PUBLISHES, "a refit")


def one_slice(driver: Driver, stack: RunningStack, seconds: float) -> dict[str, Any]:
    """What the annotators report, with the processor's seconds by part."""
    began, cpu = time.time(), cpu_seconds(stack)
    done = driver.drive(seconds)
    return done | {
        "began": began,
        "ended": time.time(),
        "cycles": sum(len(person["acknowledged"]) for person in done["people"]),
        "cpu": cpu_between(cpu, cpu_seconds(stack), done["cpu_seconds"]),
    }


def one_ceiling(stack: RunningStack, url: str, wanted: argparse.Namespace, seconds: float) -> dict[str, Any]:
    cpu = cpu_seconds(stack)
    done = ceiling(url, tasks=wanted.tasks, clients=wanted.clients, seconds=seconds)
    return done | {"cpu": cpu_between(cpu, cpu_seconds(stack), done["cpu_seconds"])}


def summary(slices: list[dict[str, Any]], ceilings: list[dict[str, Any]]) -> dict[str, Any]:
    rates = [each["cycles"] / each["seconds"] for each in slices]
    highest = [each["cycles_per_s"] for each in ceilings]
    cpu_ms = {
        name: 1000 * sum(ours(each["cpu"]) for each in parts) / max(sum(each["cycles"] for each in parts), 1)
        for name, parts in (("service", slices), ("ceiling", ceilings))
    }
    return {
        "cycles_per_s": float(np.mean(rates)),
        "ceiling_per_s": float(np.mean(highest)),
        "share_of_ceiling": float(np.mean(rates) / np.mean(highest)),
        "valid": bool(np.mean(highest) >= LEAST),
        "cpu_ms_per_cycle": cpu_ms,
        "share_by_cpu": cpu_ms["ceiling"] / cpu_ms["service"],
        "slices_cycles_per_s": rates,
        "slices_ceiling_per_s": highest,
    }


def latencies(slices: list[dict[str, Any]], mode: str) -> dict[str, Any]:
    """Milliseconds of the requests by kind; in the mode veteran those of the veteran, and the newcomers' apart."""

    def of(people: slice) -> dict[str, Any]:
        return {
            name: percentiles([ms for each in slices for person in each["people"][people] for ms in person[name]])
            for name in ("lease_ms", "vote_ms")
        }

    return of(slice(1)) | {"newcomers": of(slice(1, None))} if mode == "veteran" else of(slice(None))


def percentiles(ms: list[float]) -> dict[str, float | None]:
    return {f"p{p}": float(np.percentile(ms, p)) if ms else None for p in (50, 95, 99)}


def cpu_shares(slices: list[dict[str, Any]]) -> dict[str, float]:
    """Each part's share of all cores' time while the service was measured."""
    capacity = sum(each["ended"] - each["began"] for each in slices) * (os.cpu_count() or 1)
    shares = {part: sum(each["cpu"][part] for each in slices) / capacity for part in slices[0]["cpu"]}
    return shares | {"idle": max(1 - sum(shares.values()), 0.0)}


def published(campaign: Campaign, slices: list[dict[str, Any]]) -> dict[str, Any]:
    """How much of the slices' time a refit published in, and the most tasks that one went over."""
    runs = campaign.publishing()
    overlap = sum(
        max(min(end, each["ended"]) - max(start, each["began"]), 0) for each in slices for start, end, _ in runs
    )
    return {
        "share_of_time": overlap / sum(each["ended"] - each["began"] for each in slices),
        "tasks": max((tasks for *_, tasks in runs), default=0),
        "longest_seconds": max((end - start for start, end, _ in runs), default=0.0),
    }


def table(figures: dict[str, Any]) -> str:
    """For people."""

    def milliseconds(of: dict[str, Any]) -> str:
        return "  ".join(f"{name} {'-' if ms is None else format(ms, '.1f')}" for name, ms in of.items())

    lines = [
        "{mode}, {tasks:,} tasks, {clients} clients; {web}".format(**figures),
        "{cores} cores ({processor}), {memory_gb} GB".format(**figures["machine"]),
        "PostgreSQL {postgresql}, Python {python} ({python_loop_ns} ns a loop)".format(**figures["machine"]),
        "cycles/s {cycles_per_s:.0f}   ceiling/s {ceiling_per_s:.0f}   share {share_of_ceiling:.3f}".format(**figures),
    ]
    lines.append(
        "by processor {service:.2f} ms a cycle, the ceiling {ceiling:.2f}".format(**figures["cpu_ms_per_cycle"])
        + f": share {figures['share_by_cpu']:.3f}"
    )
    if figures["cpu"]["others"] > DISTURBED:
        lines.append("DISTURBED: others were at work here, too; the share by processor time suffers less from that.")
    if not figures["valid"]:
        lines.append(f"INVALID: a ceiling under {LEAST}/s says that the machine was busy, or too slow.")
    lines += [f"lease, ms    {milliseconds(figures['lease_ms'])}", f"vote, ms     {milliseconds(figures['vote_ms'])}"]
    if "newcomers" in figures:
        lines += [f"  newcomers' {milliseconds(figures['newcomers'][kind])}" for kind in ("lease_ms", "vote_ms")]
    if "published" in figures:
        lines.append("published    {tasks:,} tasks, {share_of_time:.0%} of the time".format(**figures["published"]))
    lines += [
        "cores' time  " + "  ".join(f"{part} {share:.0%}" for part, share in figures["cpu"].items()),
        "told         " + "  ".join(f"{status} {n:,}" for status, n in figures["told"].items()),
        f"upload       {figures['upload_tasks_per_s']:,.0f} tasks/s",
        "fsync, ms    p50 {p50:.2f}   ({per_s:.0f}/s, 8 kB each)".format(**figures["fsync_ms"]),
        "MB           " + "  ".join(f"{name} {mb:,.1f}" for name, mb in figures["sizes_mb"].items()),
        "violations   " + "  ".join(f"{name} {'-' if n is None else n}" for name, n in figures["violations"].items()),
    ]
    if figures["refused"]:
        lines.append("REFUSED      {refused} requests, the first: {first_refusal}".format(**figures))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
