"""Learn from crowds whose truth is known what calibration assumes of one whose truth is not.

    uv run benchmarks/calibration_prior.py [--data DIR] [--leave-out FAMILY] [--write]

DIR holds a folder for each crowd (see datasets.py); by default `$CROWD_DATASETS`. Prints the constants of
`aggregation/core/calibration_prior.py`, or writes them there. --leave-out: learn without a family of crowds, to measure
on them what was not learnt on them, as accuracy.py does.

Empirical Bayes: the weights of a crowd are drawn from N(m, S) and its biases from N(0, s I); m, S and s are those under
which the gold of all crowds is most probable, by EM with a Gaussian approximation to each crowd's posterior (Laplace).
Crowds of one family share tasks, votes or annotators, so each family weighs the same. The posteriors are those of the
default label model, without gold.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from aggregation.core import calibration_prior
from aggregation.core.calibration import N_WEIGHTS, Prior, design, gold_tasks, most_probable
from aggregation.core.label_models import DEFAULT_LABEL_MODEL, LABEL_MODELS
from aggregation.core.votes import Floats, Ints
from benchmarks import datasets

#: Public crowds by name, and the family of each.
FAMILIES = {
    **{name: name for name in ("bluebird", "dog", "leaves", "music_genre", "product", "wsd")},
    **{"s_rel": "trec", "trec2011": "trec"},
    **{"barzan_tweets": "mozafari_tweets", "d_possent": "mozafari_tweets"},
    **{"sentpol": "moviereview", "sp_amt": "moviereview"},
}
#: Fewer could not tell how crowds differ.
FEWEST_FAMILIES = 5
#: No crowd counts for more answers than this: the errors of a label model on one crowd are not independent.
MOST_ANSWERS = 1000
ROUNDS = 8
#: Crowds differ at least by so much: a handful of them would otherwise seem equal in some direction.
LEAST_DEVIATION, LEAST_BIAS_VARIANCE = 0.02, 0.01


@dataclass(frozen=True, eq=False)
class Crowd:
    """terms: f8[n, K, 3] and truth: int32[n] of its gold tasks."""

    family: str
    terms: Floats
    truth: Ints


def read(place: Path) -> list[Crowd]:
    """The crowds of a place whose family is known, as the default label model sees them."""
    crowds = []
    for folder in (folder for folder in datasets.folders(place) if folder.name in FAMILIES):
        data = datasets.load(folder)
        counts, posterior = data.votes.per_task(), LABEL_MODELS[DEFAULT_LABEL_MODEL](data.votes).posterior
        known = gold_tasks(counts, data.gold)
        crowds.append(Crowd(FAMILIES[folder.name], design(posterior[known], counts[known]), data.gold[known]))
    return crowds


def learn(crowds: Sequence[Crowd]) -> Prior:
    """The prior under which the gold of these crowds is most probable, every family weighing the same."""
    if len({crowd.family for crowd in crowds}) < FEWEST_FAMILIES:
        raise ValueError(f"fewer than {FEWEST_FAMILIES} families of crowds cannot tell how crowds differ")
    prior = Prior(np.full(N_WEIGHTS, 0.3 / N_WEIGHTS), 0.1 * np.eye(N_WEIGHTS), 0.1)
    for _ in range(ROUNDS):
        prior = _round(crowds, prior)
    return prior


def leave_one_family_out(place: Path) -> dict[str, Prior]:
    """By crowd, the prior that the other families in a place tell; nothing where too few families are there."""
    crowds = read(place)
    families = {crowd.family for crowd in crowds}
    if len(families) <= FEWEST_FAMILIES:
        return {}
    without = {family: learn([crowd for crowd in crowds if crowd.family != family]) for family in families}
    return {name: without[family] for name, family in FAMILIES.items() if family in families}


def _round(crowds: Sequence[Crowd], prior: Prior) -> Prior:
    """E-step: the posterior of each crowd's weights and biases. M-step: their moments over the crowds."""
    sizes = Counter(crowd.family for crowd in crowds)
    share = np.array([1.0 / sizes[crowd.family] / len(sizes) for crowd in crowds])
    weights, covariances, bias_squares = [], [], []
    for crowd in crowds:
        theta, covariance = most_probable(
            crowd.terms, crowd.truth, prior, min(1.0, MOST_ANSWERS / max(len(crowd.truth), 1))
        )
        weights.append(theta[:N_WEIGHTS])
        covariances.append(covariance[:N_WEIGHTS, :N_WEIGHTS])
        bias_squares.append((theta**2 + np.diag(covariance))[N_WEIGHTS:].mean())
    mean = share @ np.array(weights)
    away = np.array(weights) - mean
    covariance = np.einsum("c,ci,cj->ij", share, away, away) + np.einsum("c,cij->ij", share, covariances)
    covariance += LEAST_DEVIATION**2 * np.eye(N_WEIGHTS)
    return Prior(mean, covariance, max(float(share @ bias_squares), LEAST_BIAS_VARIANCE))


def as_module(prior: Prior, crowds: Sequence[Crowd]) -> str:
    """The constants as Python."""
    rows = "".join(f"    ({', '.join(f'{value:.6f}' for value in row)}),\n" for row in prior.covariance)
    families = len({crowd.family for crowd in crowds})
    return (
        f'"""What {len(crowds)} crowds of {families} families tell about calibration; '
        'written by `benchmarks/calibration_prior.py`."""\n\n'
        f"MEAN = ({', '.join(f'{value:.6f}' for value in prior.mean)})\n"
        f"COVARIANCE = (\n{rows})\n"
        f"BIAS_VARIANCE = {prior.bias_variance:.6f}\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    place = os.environ.get("CROWD_DATASETS")
    parser.add_argument("--data", type=Path, default=Path(place) if place else None, metavar="DIR", required=not place)
    parser.add_argument("--leave-out", choices=sorted(set(FAMILIES.values())), metavar="FAMILY")
    parser.add_argument("--write", action="store_true", help="write the constants into the project")
    options = parser.parse_args()
    if options.write and options.leave_out:
        parser.error("--write with --leave-out: what is shipped is learnt from all families")
    crowds = [crowd for crowd in read(options.data) if crowd.family != options.leave_out]
    module = as_module(learn(crowds), crowds)
    if options.write:
        Path(calibration_prior.__file__).write_text(module, encoding="utf-8")
    print(module, end="")


if __name__ == "__main__":
    main()
