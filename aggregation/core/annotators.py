"""Annotators: what their votes are worth, from their confusions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from aggregation.core import live
from aggregation.core.fit import Fit
from aggregation.core.votes import Floats


def spammer_score(fit: Fit) -> Floats:
    """How much the votes of each annotator depend on the truth, f8[A]: 0 is a spammer, 1 is somebody always right.

    A spammer's confusion has equal rows: whatever the truth, the same votes. The score is the squared distance of the
    rows from their mean, as a share of what it is if all are right: Raykar, V. C. and Yu, S.: Eliminating Spammers
    and Ranking Annotators for Crowdsourced Labeling Tasks, Journal of Machine Learning Research 13, 2012, section 3.
    With two labels it is (sensitivity + specificity - 1) squared, so who is always wrong scores 1 too: turned round,
    such votes are as good. An annotator without votes scores what the label model assumes of strangers. NaN with a
    single label, where there is nothing to know.
    """
    K = len(fit.label_prior)
    if K == 1:
        return np.full(len(fit.accuracy), np.nan)
    if fit.confusion is None:
        return _structured_score(fit.accuracy, fit.pooled_errors)
    from_mean = fit.confusion - fit.confusion.mean(axis=1, keepdims=True)
    return np.asarray((from_mean**2).sum(axis=(1, 2)) / (K - 1))


def likelihood(fit: Fit, annotator: NDArray[np.integer], label: NDArray[np.integer]) -> Floats:
    """P(annotator[i] votes label[i] | true label k), f8[n, K], over all kinds of tasks; as `live.likelihoods`."""
    return live.likelihoods(replace(fit, kinds=None), annotator, label)


def _structured_score(accuracy: Floats, errors: Floats) -> Floats:
    """The score where row k is accuracy at k and (1 - accuracy) * errors[k] elsewhere, without writing out A * K * K.

    The squared distance of rows from their mean is the sum of their squares less K times that of their mean.
    """
    K, wrong = len(errors), 1.0 - accuracy
    column = errors.sum(axis=0)
    squares = K * accuracy**2 + wrong**2 * (errors**2).sum()
    of_mean = K * accuracy**2 + 2 * accuracy * wrong * column.sum() + wrong**2 * (column**2).sum()
    return np.asarray((squares - of_mean / K) / (K - 1))
