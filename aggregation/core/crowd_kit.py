"""crowd-kit's label models behind our contract, where crowd-kit is installed and can be imported.

Ustalov, D., Pavlichenko, N. and Tseitlin, B.: Learning from Crowds with Crowd-Kit, Journal of Open Source Software
9(96), 2024, doi:10.21105/joss.06227. Nothing of it is imported before a fit: it brings pandas, scikit-learn and, with
some versions, transformers.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from aggregation.core.fit import Fit, Start, check_start, read_off
from aggregation.core.majority_vote import vote_shares
from aggregation.core.structure import clamp, shares
from aggregation.core.votes import Floats, Ints, Votes, check_gold


class Unavailable(Exception):
    """A label model cannot run here: crowd-kit is not installed, or does not work with what else is installed."""


def glad(votes: Votes, gold: Ints | None = None, start: Start | None = None) -> Fit:
    """crowd-kit's GLAD (Whitehill et al., NIPS 2009). Arguments and errors as in `fit`."""
    return fit("GLAD", votes, gold, start)


def mace(votes: Votes, gold: Ints | None = None, start: Start | None = None) -> Fit:
    """crowd-kit's MACE (Hovy et al., NAACL 2013). Arguments and errors as in `fit`."""
    return fit("MACE", votes, gold, start)


def mmsr(votes: Votes, gold: Ints | None = None, start: Start | None = None) -> Fit:
    """crowd-kit's M-MSR (Ma and Olshevsky, NeurIPS 2020). Arguments and errors as in `fit`."""
    return fit("MMSR", votes, gold, start)


def kos(votes: Votes, gold: Ints | None = None, start: Start | None = None) -> Fit:
    """crowd-kit's KOS (Karger, Oh and Shah, 2011, doi:10.48550/arXiv.1110.3564); ValueError unless K is 2."""
    if votes.n_labels != 2:
        raise ValueError(f"KOS works with two labels only, not {votes.n_labels}")
    return fit("KOS", votes, gold, start)


def fit(name: str, votes: Votes, gold: Ints | None = None, start: Start | None = None) -> Fit:
    """The Fit of crowd-kit's class `name`; where it gives labels only, they are certain in the posterior.

    gold: int32[T], -1 where unknown; clamped in the result, but crowd-kit does not learn from it. start: f8[T, K];
    checked, but crowd-kit cannot begin from it. Accuracies and confusions are counted from the posterior. Tasks without
    votes get the label shares. Raises Unavailable if crowd-kit cannot be imported, ValueError on bad gold or start.
    """
    check_start(start, votes)
    known = check_gold(gold, votes)
    method = _load(name)
    if np.bincount(votes.label, minlength=votes.n_labels).astype(bool).sum() < 2:
        note = "fewer than two labels were voted for: majority vote instead"
        return read_off(votes, *vote_shares(votes, known), notes=(note,))
    try:
        result = _run(method, votes)
    except Exception as failure:  # whatever crowd-kit trips over: tied votes, in KOS
        raise ValueError(f"crowd-kit's {name} fails on these votes: {type(failure).__name__}: {failure}") from failure
    posterior = clamp(_posterior(votes, result), known)
    voted_on = np.bincount(votes.task, minlength=votes.n_tasks) > 0
    label_prior = shares(posterior[voted_on | (known >= 0)].sum(axis=0))
    posterior[~voted_on & (known < 0)] = label_prior
    notes = ("gold is clamped, but crowd-kit did not learn from it",) if (known >= 0).any() else ()
    return read_off(votes, posterior, label_prior, notes=notes)


def _load(name: str) -> Any:
    """crowd-kit's class of that name."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # those of packages that crowd-kit imports
            from crowdkit.aggregation import classification
    except ModuleNotFoundError as missing:
        if missing.name == "crowdkit":
            raise Unavailable(f"{name} needs crowd-kit, which is not installed: install crowd-kit") from missing
        raise Unavailable(_cannot_import(name, missing)) from missing
    except Exception as broken:  # whatever its packages raise when their versions do not fit together
        raise Unavailable(_cannot_import(name, broken)) from broken
    return getattr(classification, name)


def _cannot_import(name: str, error: Exception) -> str:
    return f"{name} needs crowd-kit, which cannot be imported here: {type(error).__name__}: {error}"


def _run(method: Any, votes: Votes) -> Any:
    """What crowd-kit makes of the votes: a frame of probabilities [task, label], or a series of labels by task."""
    import pandas as pd

    table = pd.DataFrame({"task": votes.task, "worker": votes.annotator, "label": votes.label})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas' about how crowd-kit calls it
        model = method()
        return model.fit_predict_proba(table) if hasattr(model, "fit_predict_proba") else model.fit_predict(table)


def _posterior(votes: Votes, result: Any) -> Floats:
    """The posterior f8[T, K] in a result of `_run`; rows of zeros for tasks without votes."""
    posterior = np.zeros((votes.n_tasks, votes.n_labels))
    task = result.index.to_numpy()
    if result.ndim == 1:
        posterior[task, result.to_numpy()] = 1.0
    else:
        posterior[np.ix_(task, result.columns.to_numpy())] = shares(result.to_numpy(dtype=np.float64))
    return posterior
