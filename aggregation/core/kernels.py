"""Compiled twins of `aggregation.core.e_steps`, for many votes. Imported lazily: numba takes half a second to load.

A sweep reads the votes once. For each task it multiplies the likelihoods of its votes, normalises, and adds the
posterior to the expected counts, which are all that an M-step needs: nothing of size n * K or T * K is written.

Tasks are cut into pieces that depend on the votes alone; each piece counts into a table of its own, and the tables are
added in their order: equal votes give equal bytes on any number of cores. The threads are ours, not numba's, whose
portable threading layer aborts when two callers meet; they end with each call, so that a process may fork in between.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import numpy as np

from aggregation.core.e_steps import fill
from aggregation.core.votes import ByTask, Floats, Ints

#: Products of so many likelihoods stay within the range of a float: free ones are at least 1e-10, structured 1e-20.
FREE_BLOCK, BLOCK = 24, 12
MOST_PIECES = 8
#: In floats, with room for the neighbour that a processor fetches along.
CACHE_LINE = 16


def kernel(function: Callable[..., Any]) -> Any:
    """Compiled when first called, without the interpreter's lock, and kept on disk where there is a place for it."""
    try:
        return numba.njit(nogil=True, cache=True, error_model="numpy")(function)
    except RuntimeError:  # neither beside the source nor in the user's cache folder
        return numba.njit(nogil=True, error_model="numpy")(function)


def free_sweep(tasks: ByTask, gold: Ints, prior: Floats, likelihood: Floats) -> tuple[Floats, Floats, float]:
    return _free(tasks, gold, prior, likelihood, np.empty((0, len(prior))))


def free_posterior(tasks: ByTask, gold: Ints, prior: Floats, likelihood: Floats) -> Floats:
    posterior = np.empty((len(gold), len(prior)))
    _free(tasks, gold, prior, likelihood, posterior)
    return posterior


def _free(
    tasks: ByTask, gold: Ints, prior: Floats, likelihood: Floats, posterior: Floats
) -> tuple[Floats, Floats, float]:
    pieces = _pieces(tasks, likelihood.size)
    totals, counts = _tables(pieces, prior.shape, likelihood.shape)

    def run(index: int, first: int, last: int) -> Any:
        into = totals[index], counts[index], posterior
        votes = tasks.start, tasks.row, tasks.n_labels, gold, _of_tasks(tasks)
        return _free_sweep(first, last, *votes, prior, likelihood, *into, _shape(prior))

    evidence = _each(run, pieces)
    return _total(totals), _total(counts), sum(evidence)


def free_count(tasks: ByTask, gold: Ints, posterior: Floats) -> tuple[Floats, Floats]:
    R, C = len(tasks.cells), posterior.shape[1]
    pieces = _pieces(tasks, R * C)
    totals, counts = _tables(pieces, (C,), (R, C))

    def run(index: int, first: int, last: int) -> Any:
        into = totals[index], counts[index]
        return _free_count(first, last, tasks.start, tasks.row, gold, posterior, *into, _shape(totals[0]))

    _each(run, pieces)
    return _total(totals), _total(counts)


def structured_sweep(
    tasks: ByTask, gold: Ints, prior: Floats, right: Floats, wrong: Floats, errors: Floats
) -> tuple[Floats, Floats, Floats, float]:
    return _structured(tasks, gold, prior, right, wrong, errors, np.empty((0, len(prior))))


def structured_posterior(
    tasks: ByTask, gold: Ints, prior: Floats, right: Floats, wrong: Floats, errors: Floats
) -> Floats:
    posterior = np.empty((len(gold), len(prior)))
    _structured(tasks, gold, prior, right, wrong, errors, posterior)
    return posterior


def _structured(
    tasks: ByTask, gold: Ints, prior: Floats, right: Floats, wrong: Floats, errors: Floats, posterior: Floats
) -> tuple[Floats, Floats, Floats, float]:
    pieces = _pieces(tasks, right.size + errors.size)
    totals, correct, pooled = _tables(pieces, prior.shape, right.shape, errors.shape)

    def run(index: int, first: int, last: int) -> Any:
        into = totals[index], correct[index], pooled[index], posterior
        votes = tasks.start, tasks.cell, gold, _of_tasks(tasks)
        return _structured_sweep(first, last, *votes, prior, right, wrong, errors, *into)

    evidence = _each(run, pieces)
    return _total(totals), _total(correct), _total(pooled), sum(evidence)


def structured_count(tasks: ByTask, gold: Ints, posterior: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    A, K = tasks.n_annotators, tasks.n_labels
    pieces = _pieces(tasks, 2 * A + K * K)
    tables = _tables(pieces, (K,), (A,), (A,), (K, K))

    def run(index: int, first: int, last: int) -> Any:
        into = [table[index] for table in tables]
        return _structured_count(first, last, tasks.start, tasks.cell, gold, posterior, *into)

    _each(run, pieces)
    totals, correct, doubt, pooled = (_total(table) for table in tables)
    return totals, correct, doubt, pooled


def vote_shares(tasks: ByTask, gold: Ints) -> Floats:
    posterior = np.empty((len(gold), tasks.n_labels))

    def run(index: int, first: int, last: int) -> Any:
        return _vote_shares(first, last, tasks.start, tasks.cell, gold, posterior)

    _each(run, _pieces(tasks, 0))
    return fill(posterior, tasks, gold)


def _of_tasks(tasks: ByTask) -> Floats:
    """Their own priors f8[T, K], or no rows where they have none."""
    if tasks.task_prior is None:
        return np.empty((0, tasks.n_labels))
    return tasks.task_prior


def _pieces(tasks: ByTask, table: int) -> list[tuple[int, int]]:
    """Ranges of tasks with about as many votes each; so few that their tables of counts cost less than the votes."""
    n = max(1, min(MOST_PIECES, len(tasks.cell) // max(2 * table, 1)))
    borders = np.searchsorted(tasks.start, np.arange(1, n) * len(tasks.cell) // n)
    edges = [0, *borders.tolist(), len(tasks.start) - 1]
    return list(zip(edges[:-1], edges[1:], strict=True))


def _tables(pieces: list[tuple[int, int]], *shapes: tuple[int, ...]) -> list[list[Floats]]:
    """For each shape a table of zeros for each piece, padded so that no two threads write to one line of the cache."""
    return [[np.zeros(math.prod(shape) + CACHE_LINE)[:-CACHE_LINE].reshape(shape) for _ in pieces] for shape in shapes]


def _total(tables: list[Floats]) -> Floats:
    total = tables[0]
    for table in tables[1:]:
        total += table
    return total


def _each(run: Callable[[int, int, int], Any], pieces: list[tuple[int, int]]) -> list[Any]:
    with ThreadPoolExecutor(numba.get_num_threads()) as pool:
        return list(pool.map(run, range(len(pieces)), *zip(*pieces, strict=True)))


def _shape(row: Floats) -> tuple[int, ...]:
    """K zeros: the length of a tuple is part of its type, so that loops over labels are compiled for this K."""
    return (0,) * len(row)


# What is compiled, by numba, which infers the types of arguments. Bodies are long and flat: an array that is passed on
# inside a loop is counted, which costs more than the arithmetic. Cells are made unsigned, which spares a test for
# negative indices.


@kernel
def _free_sweep(  # type: ignore[no-untyped-def]  # numba
    first, last, start, row, n_labels, gold, of_tasks, prior, likelihood, totals, counts, posterior, shape
):
    K = len(shape)  # states
    scratch, evidence, product = np.empty((2, K + CACHE_LINE)), 0.0, 1.0
    p, log = scratch[0, :K], scratch[1, :K]
    for t in range(first, last):
        one, end = start[t], start[t + 1]
        for k in range(K):
            p[k] = prior[k]
        if len(of_tasks) > 0:
            for k in range(K):
                p[k] *= of_tasks[t, k % n_labels]
        if end - one > FREE_BLOCK:
            evidence += _long_free(one, end, row, likelihood, p, log, gold[t], n_labels)
        else:
            for i in range(one, end):
                c = np.uint64(row[i])
                for k in range(K):
                    p[k] *= likelihood[c, np.uint64(k)]
        if gold[t] >= 0:
            for k in range(K):
                if k % n_labels != gold[t]:
                    p[k] = 0.0
        total = 0.0
        for k in range(K):
            total += p[k]
        scale = 1.0 / total
        for k in range(K):
            p[k] *= scale
        if len(posterior) > 0:
            for k in range(K):
                posterior[t, k] = p[k]
        if one < end or gold[t] >= 0:
            product *= total
            if product < 1e-50:  # a logarithm for many tasks instead of one for each
                evidence += np.log(product)
                product = 1.0
            for k in range(K):
                totals[k] += p[k]
        for i in range(one, end):
            c = np.uint64(row[i])
            for k in range(K):
                counts[c, np.uint64(k)] += p[k]
    return evidence + np.log(product)


@kernel
def _long_free(one, end, row, likelihood, p, log, gold, n_labels):  # type: ignore[no-untyped-def]  # numba
    """Joint probabilities of a task with many votes in p, but for a common factor whose logarithm is returned."""
    log[:] = 0.0
    for block in range(one, end, FREE_BLOCK):
        for i in range(block, min(block + FREE_BLOCK, end)):
            for k in range(len(p)):
                p[k] *= likelihood[row[i], k]
        for k in range(len(p)):
            log[k] += np.log(p[k])
            p[k] = 1.0
    return _rescaled(p, log, gold, n_labels)


@kernel
def _rescaled(p, log, gold, n_labels):  # type: ignore[no-untyped-def]  # numba
    top = -np.inf
    for k in range(len(p)):
        if gold < 0 or k % n_labels == gold:
            top = max(top, log[k])
    for k in range(len(p)):
        p[k] = np.exp(min(log[k] - top, 0.0))
    return top


@kernel
def _free_count(first, last, start, row, gold, posterior, totals, counts, shape):  # type: ignore[no-untyped-def]  # numba
    K = len(shape)
    for t in range(first, last):
        if start[t] < start[t + 1] or gold[t] >= 0:
            for k in range(K):
                totals[k] += posterior[t, k]
        for i in range(start[t], start[t + 1]):
            c = np.uint64(row[i])
            for k in range(K):
                counts[c, np.uint64(k)] += posterior[t, k]


@kernel
def _structured_sweep(  # type: ignore[no-untyped-def]  # numba
    first, last, start, cell, gold, of_tasks, prior, right, wrong, errors, totals, correct, pooled, posterior
):
    K = len(prior)
    scratch, evidence = np.empty((2, K + CACHE_LINE)), 0.0
    p, log = scratch[0, :K], scratch[1, :K]
    for t in range(first, last):
        one, end = start[t], start[t + 1]
        for k in range(K):
            p[k] = prior[k]
        if len(of_tasks) > 0:
            for k in range(K):
                p[k] *= of_tasks[t, k]
        if end - one > BLOCK:
            evidence += _long_structured(one, end, cell, right, wrong, errors, p, log, gold[t])
        else:
            for i in range(one, end):
                a, v = cell[i] // K, cell[i] % K
                as_right = p[v] * right[a]
                for k in range(K):
                    p[k] *= wrong[a] * errors[v, k]
                p[v] = as_right
        total = 0.0
        for k in range(K):
            total += p[k]
        if gold[t] >= 0:
            total = p[gold[t]]
            for k in range(K):
                p[k] = 0.0
            p[gold[t]] = total
        scale = 1.0 / total
        for k in range(K):
            p[k] *= scale
        if len(posterior) > 0:
            for k in range(K):
                posterior[t, k] = p[k]
        if one < end or gold[t] >= 0:
            evidence += np.log(total)
            for k in range(K):
                totals[k] += p[k]
        for i in range(one, end):
            v = cell[i] % K
            correct[cell[i] // K] += p[v]
            for k in range(K):
                pooled[v, k] += p[k]
    return evidence


@kernel
def _long_structured(one, end, cell, right, wrong, errors, p, log, gold):  # type: ignore[no-untyped-def]  # numba
    """Joint probabilities of a task with many votes in p, but for a common factor whose logarithm is returned."""
    log[:] = 0.0
    for block in range(one, end, BLOCK):
        for i in range(block, min(block + BLOCK, end)):
            a, v = cell[i] // len(p), cell[i] % len(p)
            as_right = p[v] * right[a]
            for k in range(len(p)):
                p[k] *= wrong[a] * errors[v, k]
            p[v] = as_right
        for k in range(len(p)):
            log[k] += np.log(p[k])
            p[k] = 1.0
    return _rescaled(p, log, gold, len(p))


@kernel
def _structured_count(  # type: ignore[no-untyped-def]  # numba
    first, last, start, cell, gold, posterior, totals, correct, doubt, pooled
):
    K = len(totals)
    for t in range(first, last):
        if start[t] < start[t + 1] or gold[t] >= 0:
            for k in range(K):
                totals[k] += posterior[t, k]
        for i in range(start[t], start[t + 1]):
            a, v = cell[i] // K, cell[i] % K
            q = posterior[t, v]
            correct[a] += q
            doubt[a] += q * (1.0 - q)
            for k in range(K):
                pooled[v, k] += posterior[t, k]


@kernel
def _vote_shares(first, last, start, cell, gold, posterior):  # type: ignore[no-untyped-def]  # numba
    K = posterior.shape[1]
    for t in range(first, last):
        for k in range(K):
            posterior[t, k] = 0.0
        if gold[t] >= 0:
            posterior[t, gold[t]] = 1.0
        else:
            for i in range(start[t], start[t + 1]):
                posterior[t, cell[i] % K] += 1.0
            for k in range(K):
                posterior[t, k] /= max(start[t + 1] - start[t], 1)
