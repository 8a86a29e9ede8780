"""How much bad annotators spoil, and how surely they are told from the others.

    uv run benchmarks/abuse.py [--annotators 100] [--seeds 20] [--json FILE]

Simulated: of the annotators 30 % answer at random and 20 % copy one answer sheet, a random answer for each task; the
others are right with Beta(8, 3) and err evenly. Four labels, five votes a task, 50 votes an annotator; the truth of 5 %
of the tasks is known. By seed:

- accuracy: of the default label model on the tasks whose truth it was not told; honest: of the same model, gold and
  tasks on the honest votes alone; ratio: one divided by the other.
- recall: the share of bad annotators whose skill is below that of all but 5 % of the honest ones.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from numpy.typing import NDArray

from aggregation.core import auto
from aggregation.core.calibration_report import rightness
from aggregation.core.simulation import drawn
from aggregation.core.votes import Floats, Ints, Votes

LABELS, VOTES_PER_TASK, VOTES_EACH = 4, 5, 50
AT_RANDOM, COPYING, GOLD, FALSE_POSITIVES = 0.3, 0.2, 0.05, 0.05
KEYS = ("accuracy", "honest", "ratio", "recall")


def crowd(random: np.random.Generator, annotators: int) -> tuple[Votes, Ints, NDArray[np.bool_]]:
    """Votes, the truth int32[T] of their tasks, and who is bad, bool[A]."""
    T = annotators * VOTES_EACH // VOTES_PER_TASK
    truth, sheet = random.integers(LABELS, size=(2, T)).astype(np.int32)
    task, annotator = _handed_out(random, T, annotators)
    share = random.permutation(annotators) / annotators
    at_random, bad = share < AT_RANDOM, share < AT_RANDOM + COPYING
    rows = _right_with(random.beta(8.0, 3.0, annotators)[annotator], truth[task])
    rows[bad[annotator]] = np.eye(LABELS)[sheet[task[bad[annotator]]]]
    rows[at_random[annotator]] = 1.0 / LABELS
    return Votes(task, annotator, drawn(random, rows), T, annotators, LABELS), truth, bad


def _handed_out(random: np.random.Generator, n_tasks: int, annotators: int) -> tuple[Ints, Ints]:
    """Every task to VOTES_PER_TASK different people: the tasks are shuffled for each round, in which everybody whose
    turn it is takes the next VOTES_EACH."""
    task = np.concatenate([random.permutation(n_tasks) for _ in range(VOTES_PER_TASK)]).astype(np.int32)
    return task, np.repeat(random.permutation(annotators), VOTES_EACH).astype(np.int32)


def _right_with(accuracy: Floats, truth: Ints) -> Floats:
    rows = np.repeat((1.0 - accuracy)[:, None] / (LABELS - 1), LABELS, axis=1)
    rows[np.arange(len(truth)), truth] = accuracy
    return rows


def measure(seed: int, annotators: int) -> dict[str, float]:
    random = np.random.default_rng(seed)
    votes, truth, bad = crowd(random, annotators)
    gold = np.full(len(truth), -1, dtype=np.int32)
    known = random.choice(len(truth), round(GOLD * len(truth)), replace=False)
    gold[known] = truth[known]
    honest = ~bad[votes.annotator]
    columns = votes.task[honest], votes.annotator[honest], votes.label[honest]
    among_honest = Votes(*columns, votes.n_tasks, votes.n_annotators, votes.n_labels)
    found, rest = auto.fit(votes, gold), gold < 0
    accuracy, best = (
        float(rightness(fit.posterior[rest], truth[rest]).mean()) for fit in (found, auto.fit(among_honest, gold))
    )
    return {"accuracy": accuracy, "honest": best, "ratio": accuracy / best, "recall": recall(found.skill, bad)}


def recall(skill: Floats, bad: NDArray[np.bool_]) -> float:
    """The share of the bad whose skill is below all but FALSE_POSITIVES of the others'."""
    others = np.sort(skill[~bad])
    return float((skill[bad] < others[int(FALSE_POSITIVES * len(others))]).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--annotators", type=int, default=100, metavar="N")
    parser.add_argument("--seeds", type=int, default=20, metavar="N")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    if options.annotators < 20 or options.seeds < 1:
        parser.error("at least 20 annotators and one seed are needed")
    seeds = [measure(seed, options.annotators) for seed in range(options.seeds)]
    figures = {
        "mean": {key: float(np.mean([each[key] for each in seeds])) for key in KEYS},
        "worst": {key: min(each[key] for each in seeds) for key in KEYS},
    }
    print(f"{options.annotators} annotators, {options.seeds} seeds")
    print("       " + "".join(f"{key:>10}" for key in KEYS))
    for name, row in figures.items():
        print(f"{name:<7}" + "".join(f"{row[key]:>10.4f}" for key in KEYS))
    if options.json:
        options.json.write_text(json.dumps({"annotators": options.annotators, "seeds": seeds, **figures}, indent=1))


if __name__ == "__main__":
    main()
