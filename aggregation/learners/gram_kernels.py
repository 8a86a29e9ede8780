"""The compiled twin of `aggregation.learners.grams.weigh`, for many texts. Imported lazily: it loads numba."""

from __future__ import annotations

import math

import numpy as np

from aggregation.core.kernels import kernel
from aggregation.learners.grams import (
    BITS,
    BLOCK,
    FACTOR,
    LONGEST,
    LONGEST_WORD,
    PAIR,
    SEED,
    SHORTEST,
    SPACE,
    Columns,
    Rows,
    Texts,
)

# Unsigned throughout: numba takes a signed and an unsigned number to a float.
START, STEP, MIX = np.uint64(SEED), np.uint64(FACTOR), np.uint64(PAIR)
HALF, REST, GAP = np.uint64(32), np.uint64(64 - BITS), np.uint64(SPACE)


def weigh(texts: Texts, columns: Columns) -> Rows:
    most = (LONGEST - SHORTEST + 3) * len(texts.points)
    found, values = np.empty(most, np.int32), np.empty(most, np.float32)
    start = np.zeros_like(texts.start)
    counts = np.zeros(len(columns.idf), np.int32)
    kept = columns.lookup, columns.idf, columns.n_words
    n = _weigh(texts.points, texts.in_word, texts.start, *kept, counts, found, values, start)
    return Rows(values[:n].copy(), found[:n].copy(), start)


@kernel
def _weigh(  # type: ignore[no-untyped-def]  # numba infers the types
    points, in_word, start, lookup, idf, n_words, counts, found, values, ends
):
    n = 0
    for text in range(len(start) - 1):
        first, end = n, start[text + 1]
        hashed, length, before, has_before = START, 0, START, False
        for place in range(start[text], end):
            if in_word[place]:
                if length < LONGEST_WORD:
                    hashed = (hashed ^ points[place]) * STEP
                length += 1
            elif length:
                n = _add(hashed, 0, lookup, counts, found, n)
                if has_before:
                    n = _add((before * MIX) ^ hashed, 0, lookup, counts, found, n)
                before, has_before = hashed, True
                hashed, length = START, 0
            run = START
            for offset in range(min(LONGEST, end - place)):
                run = (run ^ points[place + offset]) * STEP
                if offset >= 2 and points[place + offset - 1] == GAP:
                    break
                if offset >= SHORTEST - 1:
                    n = _add(run, BLOCK, lookup, counts, found, n)
        words = characters = 0.0
        for index in range(first, n):
            column = found[index]
            value = (1.0 + math.log(counts[column])) * idf[column]
            counts[column] = 0
            values[index] = value
            if column < n_words:
                words += value * value
            else:
                characters += value * value
        words, characters = math.sqrt(words), math.sqrt(characters)
        for index in range(first, n):
            values[index] /= words if found[index] < n_words else characters
        ends[text + 1] = n
    return n


@kernel
def _add(hashed, block, lookup, counts, found, n):  # type: ignore[no-untyped-def]  # numba infers the types
    """Count the bucket's column, and list it if it is the text's first of its kind: how many are listed now."""
    column = lookup[block + np.int64(((hashed ^ (hashed >> HALF)) * MIX) >> REST)]
    if column >= 0:
        if counts[column] == 0:
            found[n] = column
            n += 1
        counts[column] += 1
    return n
