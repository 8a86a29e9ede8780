"""CSV cut into pieces of whole rows, as long as its quotes stand where they should."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from aggregation.core.votes import Ints
from aggregation.offline.files import BOM

BYTES = 16 << 20
QUOTE, NEWLINE = b'"\n'
#: What may stand before a quote that opens and behind one that closes, by its code.
AROUND = np.isin(np.arange(256), list(b',"\r\n'))


class Misplaced(Exception):
    """A quote neither opens nor closes a cell, nor doubles one inside: rows cannot be told apart by quotes alone."""


def whole_rows(content: BinaryIO) -> Iterator[bytes]:
    """Pieces that end where a row does, but those that hold blank lines alone. Raises Misplaced."""
    rest = content.read(len(BOM)).removeprefix(BOM)
    while data := content.read(BYTES):
        piece = rest + data
        end = _end_of_rows(piece)
        if piece[:end].strip():
            yield piece[:end]
        rest = piece[end:]
    _check(rest, _places(rest, QUOTE))
    if rest.strip():
        yield rest


def _end_of_rows(piece: bytes) -> int:
    """Where the last row that is whole ends: behind a newline outside of quotes, the piece beginning outside."""
    if b'"' not in piece:
        return piece.rfind(b"\n") + 1
    quotes = _places(piece, QUOTE)
    newlines = _places(piece, NEWLINE)
    outside = newlines[np.searchsorted(quotes, newlines) % 2 == 0]
    end = int(outside[-1]) + 1 if len(outside) else 0
    _check(piece, quotes[quotes < end])
    return end


def _check(piece: bytes, quotes: Ints) -> None:
    """Without misplaced quotes every second one closes, and what stands around them is known."""
    text = np.frombuffer(b"\n" + piece + b"\n", np.uint8)
    opening, closing = quotes[0::2], quotes[1::2]
    if len(quotes) % 2 or not (AROUND[text[opening]].all() and AROUND[text[closing + 2]].all()):
        raise Misplaced


def _places(piece: bytes, byte: int) -> Ints:
    return np.flatnonzero(np.frombuffer(piece, np.uint8) == byte).astype(np.int32)
