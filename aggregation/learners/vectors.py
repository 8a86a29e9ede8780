"""Vectors of sentences: the mean of their tokens' vectors, from a package that carries them.

That so simple a mean says most of what a sentence is about: Wieting, J. et al.: Towards Universal Paraphrastic Sentence
Embeddings, ICLR 2016, arXiv:1511.08198. The package is WordLlama: 32,000 tokens' vectors, taken from large language
models and trained on for such means. Of it only the two files with its data are read. Its own code is not run: that
looks for one of them in the wrong folder and then on the network, and sets up everybody's logging when it is imported.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aggregation.core.packages import NEEDED, how_to_install

PACKAGE = NEEDED["sentences"]
WEIGHTS, TOKENIZER = "weights/l2_supercat_256.safetensors", "tokenizers/l2_supercat_tokenizer_config.json"
#: Texts at once.
CHUNK = 2_500
#: Words whose tokens are remembered, up to so many characters: most words come again and again.
REMEMBERED, LONGEST_WORD = 100_000, 64


class MissingPackage(Exception):
    """A learner's package is not installed, or is another than that which it was taught with."""


@dataclass(frozen=True, eq=False)
class Vectors:
    """The tokens' vectors f4[tokens, D], their tokenizer, the package's version and its files' SHA-256."""

    table: NDArray[np.float32]
    tokenizer: Any
    version: str
    sha256: str


@cache
def vectors() -> Vectors:
    """Those of the package that is installed, 40 MB. Raises MissingPackage if none is."""
    found = find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise MissingPackage(how_to_install("sentences"))
    from safetensors.numpy import load
    from tokenizers import Tokenizer

    folder = Path(found.submodule_search_locations[0])
    try:
        weights, tokenizer = ((folder / name).read_bytes() for name in (WEIGHTS, TOKENIZER))
    except OSError as error:
        raise MissingPackage(f"{PACKAGE} {version(PACKAGE)} has no {error.filename}: install another version") from None
    return Vectors(
        load(weights)["embedding.weight"].astype(np.float32),
        Tokenizer.from_str(tokenizer.decode()),
        version(PACKAGE),
        hashlib.sha256(weights + tokenizer.strip()).hexdigest(),
    )


def directions(texts: Sequence[str]) -> NDArray[np.float32]:
    """The mean of each text's tokens' vectors, at length 1: f4[N, D]. Of a text without words 0."""
    table = vectors().table
    means = [_sums(texts[first : first + CHUNK], table) for first in range(0, len(texts), CHUNK)]
    found = np.concatenate(means) if means else np.empty((0, table.shape[1]), np.float32)
    length = np.sqrt((found**2).sum(axis=1, keepdims=True))
    found /= np.where(length > 0, length, 1.0)
    return found


def _sums(texts: Sequence[str], table: NDArray[np.float32]) -> NDArray[np.float32]:
    from scipy.sparse import csr_matrix

    tokens: list[int] = []
    start = [0]
    for text in texts:
        for word in text.split():
            tokens += _remembered(word) if len(word) <= LONGEST_WORD else _tokens(word)
        start.append(len(tokens))
    ones = np.ones(len(tokens), np.float32)
    return np.asarray(csr_matrix((ones, np.array(tokens, np.int32), start), shape=(len(texts), len(table))) @ table)


def _tokens(word: str) -> tuple[int, ...]:
    """Lone surrogates are odd, but no reason to fail."""
    readable = word.encode("utf-8", "replace").decode()
    return tuple(vectors().tokenizer.encode(readable, add_special_tokens=False).ids)


_remembered = lru_cache(REMEMBERED)(_tokens)
