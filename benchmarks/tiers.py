"""How often labels that the machine makes alone are worse than promised, how many they are, and how soon drift shows.

    uv run benchmarks/tiers.py [--campaigns 1000] [--seed 0] [--json FILE] [--only strong,drift]

Certified: in each campaign a simulated learner predicts a pool, audits are drawn where they promise most, in twenty
batches with a look after each, and labels above the certified threshold are in force: at most 5 % wrong, 95 % sure. A
campaign fails if they are worse at any look. Learners have log odds from a normal distribution, as strong as its
standard deviation; the over-confident state them half as large again, the shy a third smaller. A medium one sees tasks
come as a stream, whose audits are answered at once; or, late, three looks after, with a tenth of all tasks audited,
whatever they promise; or so, but most tasks in one burst. Yield: labels in force at the end, as a share of those above
the lowest threshold at which truly at most 5 % are wrong.

Drift: what the certified threshold lets through from a stream becomes worse, by a point in every 1,000 tasks or by ten
at once, while one in twenty is audited. Rare label: see `rare_label.py`.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import beta

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from aggregation.core.audit_plan import audit_goal, next_share
from aggregation.core.drift import watch
from aggregation.core.tiers import certify, plan_thresholds
from benchmarks.rare_label import SEARCHES
from benchmarks.tier_pools import BURST, STREAM, Setting, arrivals_of, draw_pool, drawn_of, expose, oracle

MAX_ERROR, LOOKS, AUDITED = 0.05, 20, 0.05

SETTINGS = {
    "strong": Setting(8.0),
    "medium": Setting(5.0),
    "weak": Setting(3.0),
    "over-confident": Setting(5.0, stated=1.5),
    "shy": Setting(5.0, stated=2 / 3),
    "clueless": Setting(5.0, error=0.052),
    "stream": Setting(5.0, pool=STREAM),
    "late": Setting(5.0, pool=STREAM, delay=3, share=0.1),
    "burst": Setting(5.0, pool=BURST, delay=3, share=0.1),
}
DRIFTS = {"jump": "ten points at once", "slow": "a point in 1,000 tasks", "none": "no drift"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--campaigns", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    parser.add_argument("--only", help=f"some of {', '.join([*SETTINGS, 'drift', *SEARCHES])}, with commas between")
    arguments = parser.parse_args()
    wanted = arguments.only.split(",") if arguments.only else [*SETTINGS, "drift", *SEARCHES]
    if unknown := set(wanted) - {*SETTINGS, "drift", *SEARCHES}:
        parser.error(f"--only does not know {', '.join(sorted(unknown))}")
    figures: dict[str, Any] = {"campaigns": arguments.campaigns, "seed": arguments.seed}
    for name in wanted:
        if name in SETTINGS:
            figures[name] = certified(name, arguments.campaigns, arguments.seed)
            print_certified(name, figures[name], first=name == wanted[0])
        elif name == "drift":
            figures[name] = {kind: drifting(kind, arguments.campaigns, arguments.seed) for kind in DRIFTS}
            print_drift(figures[name])
        else:
            figures[name] = SEARCHES[name](arguments.seed, max(arguments.campaigns // 25, 1))
            print(f"rare label, {name}: " + ", ".join(f"{key} {value}" for key, value in figures[name].items()))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


@dataclass
class Outcome:
    """failed: worse than promised at any look. threshold, in_force, error: at the last. possible: by the oracle."""

    failed: bool
    threshold: float | None
    in_force: int
    error: float
    possible: int
    audits: int


def campaign(random: np.random.Generator, setting: Setting) -> Outcome:
    tasks = int(np.exp(random.uniform(np.log(5_000), np.log(20_000))))
    pool, arrivals = draw_pool(random, setting, tasks), arrivals_of(setting.pool, tasks, LOOKS)
    plan = plan_thresholds(pool.score[: arrivals[0]], MAX_ERROR)
    share, held, worst = np.full(len(plan.threshold), setting.share or 0.0), None, 0.0
    band = np.searchsorted(-plan.threshold, -pool.score)
    # How many tasks had come at each look, and the shares by which they were drawn.
    asked = [(0, share)] * setting.delay
    for look, arrived in enumerate(arrivals, 1):
        asked.append((arrived, share))
        # All audits of the tasks that had come then are answered: evidence is of these tasks alone.
        evidence, drawn = expose(pool, band, *asked[-1 - setting.delay]), drawn_of(pool, band, arrived, share)
        certified = 0 if held is None else int((plan.threshold >= held).sum())
        goal = audit_goal(evidence, plan, int(AUDITED * tasks) - int(drawn.sum()), certified)
        batch = int(AUDITED * tasks * look / LOOKS) - int(drawn.sum())
        if setting.share is None and goal is not None and batch > 0:
            share = np.maximum(share, next_share(evidence, plan, goal, batch))
            asked[-1] = arrived, share
            evidence, drawn = expose(pool, band, *asked[-1 - setting.delay]), drawn_of(pool, band, arrived, share)
        held = certify(evidence, plan, held=held).threshold
        in_force = ~drawn & (pool.score[:arrived] >= (np.inf if held is None else held))
        error = float(np.mean(~pool.right[:arrived][in_force])) if in_force.any() else 0.0
        worst = max(worst, error)
    return Outcome(worst > MAX_ERROR, held, int(in_force.sum()), error, oracle(pool, MAX_ERROR), int(drawn.sum()))


def certified(name: str, campaigns: int, seed: int) -> dict[str, Any]:
    return summary([campaign(seeded(seed, name, row), SETTINGS[name]) for row in range(campaigns)])


def seeded(seed: int, name: str, row: int) -> np.random.Generator:
    """Each campaign has its own, whichever others are run."""
    return np.random.default_rng([seed, list(SETTINGS).index(name), row])


def summary(outcomes: list[Outcome]) -> dict[str, Any]:
    failed = sum(outcome.failed for outcome in outcomes)
    yields = np.array([outcome.in_force / max(outcome.possible, 1) for outcome in outcomes])
    return {
        "failed": failed / len(outcomes),
        "failed_upper_99": upper_99(failed, len(outcomes)),
        "oracle_tasks": round(float(np.mean([outcome.possible for outcome in outcomes]))),
        "yield": round(float(yields.mean()), 3),
        "yield_low_10": round(float(np.quantile(yields, 0.1)), 3),
        "nothing_certified": float(np.mean([outcome.threshold is None for outcome in outcomes])),
        "audits": round(float(np.mean([outcome.audits for outcome in outcomes]))),
        "error_in_force": round(float(np.mean([o.error for o in outcomes if o.in_force])), 4) if yields.any() else None,
    }


def upper_99(failed: int, campaigns: int) -> float:
    """The one-sided Clopper-Pearson limit."""
    return float(beta.ppf(0.99, failed + 1, campaigns - failed)) if failed < campaigns else 1.0


def drifting(kind: str, campaigns: int, seed: int) -> dict[str, Any]:
    """Streams of labels in force, as bad in the beginning as campaigns of the medium learner leave them."""
    random = np.random.default_rng([seed, list(DRIFTS).index(kind)])
    begun = [campaign(seeded(seed, "medium", row), SETTINGS["medium"]) for row in range(min(campaigns, 50))]
    errors = [outcome.error for outcome in begun if outcome.in_force]
    runs = [drift(random, kind, errors[row % len(errors)]) for row in range(campaigns)]
    late = [run for run in runs if run["revoked"] and not run["early"]]
    figures: dict[str, Any] = {"revoked": float(np.mean([run["revoked"] for run in runs]))}
    figures["revoked_without_reason"] = float(np.mean([run["early"] for run in runs]))
    if kind != "none":
        delays = [run["audits"] for run in late]
        figures |= {"audits_mean": round(float(np.mean(delays)), 1), "audits_median": float(np.median(delays))}
        figures["audits_high_90"] = float(np.quantile(delays, 0.9))
        for name in ("error_before", "error_after", "bad_left", "good_lost"):
            figures[name] = round(float(np.mean([run[name] for run in late])), 4)
        broken = sum(run["error_before"] > MAX_ERROR for run in runs)
        figures |= {"broken": broken / campaigns, "broken_upper_99": upper_99(broken, campaigns)}
    return figures


def drift(random: np.random.Generator, kind: str, before: float, labels: int = 20_000) -> dict[str, Any]:
    """One stream. Labels are bad where they are wrong at a higher rate than allowed."""
    error = np.full(labels, before)
    begins = int(random.uniform(0.2, 0.3) * labels)
    if kind == "jump":
        error[begins:] += 0.1
    elif kind == "slow":
        error[begins:] += np.arange(labels - begins) / 1000 * 0.01
    right, audited = random.random(labels) >= error, np.flatnonzero(random.random(labels) < AUDITED)
    bad = error > MAX_ERROR
    found = watch(right[audited], MAX_ERROR)
    if found.revoked_at is None or found.since is None:
        return {"revoked": False, "early": False, "error_before": float(np.mean(~right))}
    now, since = audited[found.revoked_at], audited[found.since]
    made = np.arange(labels) <= now
    left = made & (np.arange(labels) < since)
    return {
        "revoked": True,
        "early": not bad[: now + 1].any(),
        "audits": int(np.count_nonzero(bad[audited[: found.revoked_at + 1]])),
        "error_before": float(np.mean(~right[made])),
        "error_after": float(np.mean(~right[left])) if left.any() else 0.0,
        "bad_left": float(np.mean(left[made & bad])) if (made & bad).any() else 0.0,
        "good_lost": float(np.mean(~left[made & ~bad])) if (made & ~bad).any() else 0.0,
    }


def print_certified(name: str, row: dict[str, Any], first: bool) -> None:
    if first:
        print("learner         failed (99 % upper)  yield (worst tenth)  nothing  audits  error in force")
    worst = f"({row['yield_low_10']:.0%})"
    print(
        f"{name:15} {row['failed']:6.1%} ({row['failed_upper_99']:6.1%})  {row['yield']:8.0%} {worst:12}"
        f" {row['nothing_certified']:8.1%}  {row['audits']:6}  {row['error_in_force'] or 0.0:8.1%}"
    )


def print_drift(figures: dict[str, Any]) -> None:
    for kind, row in figures.items():
        print(f"drift, {DRIFTS[kind]}: " + ", ".join(f"{name} {value}" for name, value in row.items()))


if __name__ == "__main__":
    main()
