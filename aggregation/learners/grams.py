"""Words, pairs of words and runs of characters of many texts at once, hashed to buckets and weighted.

Feature hashing: Weinberger, K. et al.: Feature Hashing for Large Scale Multitask Learning, ICML 2009,
doi:10.1145/1553374.1553516. Nothing is looked up by its spelling, so a million texts take seconds.

A text is taken in lower case with every run of white space as one space, and a space at either end. Its words are runs
of letters, digits and underscores, of which the first LONGEST_WORD characters count; its runs of characters, of three
to five, hold no space but at their ends, so none reaches from one word or text into another. `gram_kernels` holds the
compiled twin of `weigh`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Unsigned = NDArray[np.uint64]
Bools = NDArray[np.bool_]

SHORTEST, LONGEST = 3, 5
LONGEST_WORD = 64
#: Buckets of words and their pairs come first, then as many of characters.
BITS = 19
BLOCK = 1 << BITS
BUCKETS = 2 * BLOCK

SEED, FACTOR, PAIR = 0xCBF29CE484222325, 0x100000001B3, 0x9E3779B97F4A7C15
SPACE = 32


@dataclass(frozen=True, eq=False)
class Texts:
    """N texts as one: code points uint64[n], whether each belongs to a word, and where each text starts, int64[N+1]."""

    points: Unsigned
    in_word: Bools
    start: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Columns:
    """The buckets that are kept: lookup int32[BUCKETS] to their column, or -1; their weights f4[D], words first."""

    lookup: NDArray[np.int32]
    idf: NDArray[np.float32]
    n_words: int


@dataclass(frozen=True, eq=False)
class Rows:
    """A sparse matrix by rows: values f4[m] and columns int32[m], row r from start[r] to start[r + 1]."""

    values: NDArray[np.float32]
    columns: NDArray[np.int32]
    start: NDArray[np.int64]


def joined(texts: Sequence[str]) -> Texts:
    spaced = [f" {' '.join(text.lower().split())} " for text in texts]
    start = np.zeros(len(spaced) + 1, np.int64)
    np.cumsum([len(text) for text in spaced], out=start[1:])
    # Lone surrogates are odd, but no reason to fail.
    points = np.frombuffer("".join(spaced).encode("utf-32-le", "surrogatepass"), np.uint32)
    present = np.flatnonzero(np.bincount(points))
    letters = np.zeros(present.max(initial=0) + 1, np.bool_)
    letters[present] = [chr(point).isalnum() or point == ord("_") for point in present]
    return Texts(points.astype(np.uint64), letters[points], start)


def weigh(texts: Texts, columns: Columns) -> Rows:
    """TF-IDF of each text: (1 + log count) * idf, words and characters each scaled to length 1."""
    place, bucket = map(np.concatenate, zip(_words(texts), _characters(texts), strict=True))
    column = columns.lookup[bucket]
    text = np.searchsorted(texts.start, place[column >= 0], side="right") - 1
    D, N = len(columns.idf), len(texts.start) - 1
    key, count = np.unique(text * D + column[column >= 0], return_counts=True)
    text, column = np.divmod(key, D) if D else (key, key)
    values = (1.0 + np.log(count)) * columns.idf[column]
    block = 2 * text + (column >= columns.n_words)
    length = np.sqrt(np.bincount(block, values**2, minlength=2 * N))
    start = np.zeros(N + 1, np.int64)
    np.cumsum(np.bincount(text, minlength=N), out=start[1:])
    return Rows((values / length[block]).astype(np.float32), column.astype(np.int32), start)


def _characters(texts: Texts) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each run of characters starts, and its bucket."""
    points, n = texts.points, len(texts.points)
    space = points == SPACE
    places, buckets = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    place, hashed = np.arange(n), np.full(n, SEED, np.uint64)
    for length in range(1, LONGEST + 1):
        last = place + length - 1
        # What would be inside a run now must be no space.
        fits = (last < n) & ((length <= 2) | ~space[np.minimum(last - 1, n - 1)])
        place, hashed = place[fits], (hashed[fits] ^ points[last[fits]]) * np.uint64(FACTOR)
        if length >= SHORTEST:
            places.append(place)
            buckets.append(_bucket(hashed) + BLOCK)
    return np.concatenate(places), np.concatenate(buckets)


def _words(texts: Texts) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each word and pair of words starts, and its bucket."""
    edges = np.diff(texts.in_word.astype(np.int8), prepend=0)
    first, end = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)  # every text ends with a space
    hashed = np.full(len(first), SEED, np.uint64)
    for offset in range(min(int((end - first).max(initial=0)), LONGEST_WORD)):
        within = first + offset < end
        hashed[within] = (hashed[within] ^ texts.points[first[within] + offset]) * np.uint64(FACTOR)
    text = np.searchsorted(texts.start, first, side="right")
    pair = np.flatnonzero(text[1:] == text[:-1])
    pairs = (hashed[pair] * np.uint64(PAIR)) ^ hashed[pair + 1]
    return np.concatenate([first, first[pair]]), _bucket(np.concatenate([hashed, pairs]))


def _bucket(hashed: Unsigned) -> NDArray[np.int64]:
    """The upper bits of a hash after one more mixing, which spreads what differs in its last characters only."""
    mixed = (hashed ^ (hashed >> np.uint64(32))) * np.uint64(PAIR)
    return (mixed >> np.uint64(64 - BITS)).astype(np.int64)
