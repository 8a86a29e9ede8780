"""The fast way through a file: columns of texts as integers, in memory proportional to the rows.

Arrow reads CSV and Parquet in blocks and replaces each text by its number at once. It names no lines, and takes a quote
that is never closed for a cell that goes on; so whatever looks odd is read again slowly (`scanning`), to say where.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from aggregation.core.votes import Ints
from aggregation.offline.files import BOM, BadFile, Source, Watch, watched
from aggregation.offline.progress import bar
from aggregation.offline.scanning import check_columns, header, json_rows, place, rows, unpacked

BLOCK_BYTES = 16 << 20
BLOCK_ROWS = 1 << 18
QUOTE = ord('"')
#: What may stand before a quote that opens and behind one that closes, by its code.
AROUND = np.isin(np.arange(256), list(b',"\r\n'))


@dataclass(frozen=True, eq=False)
class Column:
    """n texts: index int32[n] into names, a pyarrow string array of the different ones by first appearance."""

    index: Ints
    names: Any


def read(source: Source, columns: Sequence[str]) -> list[Column]:
    """The columns of a file, each value as it is written in it. Raises BadFile, naming the line, on bad content."""
    import pyarrow as pa

    chunks: list[list[Any]] = [[] for _ in columns]
    with _arrow_errors(source, columns):
        for batch in _batches(source, columns):
            for held, column in zip(chunks, batch, strict=True):
                held.append(column)
        encoded = [pa.chunked_array(held, _dictionary()).unify_dictionaries() for held in chunks]
    if len(encoded[0]) == 0:
        raise BadFile(f"{source.name}: holds no rows")
    found = [_column(one) for one in encoded]
    if any(one.null_count for one in encoded) or any(_suspicious(column.names) for column in found):
        _look_closely(source, columns)
    return found


def parquet_batches(source: Source, columns: Sequence[str]) -> Iterator[list[Any]]:
    """The columns of a Parquet file as encoded texts, block by block; null where missing or not a number."""
    import pyarrow.parquet as pq

    with unpacked(source) as content:
        # Parquet is read from its end; what is compressed as a whole has no end before it is unpacked.
        seekable = io.BytesIO(content.read()) if source.gzipped else content
        file = pq.ParquetFile(seekable)
        check_columns(source, columns, file.schema_arrow.names)
        with bar(f"reading {Path(source.name).name}", file.metadata.num_rows, " rows") as shown:
            for batch in file.iter_batches(BLOCK_ROWS, columns=list(columns)):
                yield [_texts(source, column, batch.column(column)) for column in columns]
                shown.update(batch.num_rows)


def find(source: Source, columns: Sequence[str], wanted: str, limit: int = 1) -> list[str]:
    """The places of the first rows whose first column is `wanted`."""
    found = (place(source, number) for number, values in rows(source, columns) if values[0] == wanted)
    return list(islice(found, limit))


def _batches(source: Source, columns: Sequence[str]) -> Iterator[list[Any]]:
    read = {"csv": _csv_batches, "jsonl": _json_batches, "parquet": parquet_batches}[source.format]
    return read(source, columns)


def _csv_batches(source: Source, columns: Sequence[str]) -> Iterator[list[Any]]:
    from pyarrow import csv

    header(source, columns)
    convert = csv.ConvertOptions(
        include_columns=list(columns), column_types=dict.fromkeys(columns, _dictionary()), strings_can_be_null=False
    )
    quotes = Quotes()
    with _reading(source) as watch, unpacked(source, watch) as content:
        blocks = csv.open_csv(
            watched(content, quotes),
            read_options=csv.ReadOptions(block_size=BLOCK_BYTES),
            parse_options=csv.ParseOptions(newlines_in_values=True),
            convert_options=convert,
        )
        for batch in blocks:
            yield [batch.column(column) for column in columns]
    if quotes.misplaced:
        _look_closely(source, columns)


def _json_batches(source: Source, columns: Sequence[str]) -> Iterator[list[Any]]:
    import pyarrow as pa

    with _reading(source) as watch:
        every = json_rows(source, columns, watch)
        while block := list(islice(every, BLOCK_ROWS)):
            texts = zip(*(values for _, values in block), strict=True)
            yield [pa.array(column, pa.string()).dictionary_encode() for column in texts]


@contextmanager
def _reading(source: Source) -> Iterator[Watch]:
    """A progress bar that grows with the bytes it is told of."""
    with bar(f"reading {Path(source.name).name}", source.size(), "B") as shown:
        yield lambda data: shown.update(len(data))


def _texts(source: Source, column: str, values: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    kind = values.type
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_nested(kind):
        raise BadFile(f"{source.name}: column {column!r} holds {kind}; expected texts, numbers or booleans")
    if pa.types.is_floating(kind):
        values = pc.if_else(pc.is_nan(values), None, values)
    return values.cast(pa.string()).dictionary_encode()


def _column(encoded: Any) -> Column:
    """One index over all chunks; they share their names."""
    chunks = [chunk.indices.fill_null(0).to_numpy(zero_copy_only=False) for chunk in encoded.chunks]
    return Column(np.concatenate(chunks).astype(np.int32, copy=False), encoded.chunk(0).dictionary)


def _suspicious(names: Any) -> bool:
    """Whether a text is blank, or spans lines as if a closing quote were missing."""
    import pyarrow.compute as pc

    blank = pc.equal(pc.utf8_trim_whitespace(names), "")
    return bool(pc.any(pc.or_(blank, pc.match_substring(names, "\n"))).as_py())


class Quotes:
    """Looks at CSV as it goes by for quotes that neither open, nor close, nor double one inside a quoted cell.

    Arrow takes "a"b for ab. Without misplaced quotes every second one closes, and what stands around them is known.
    """

    def __init__(self) -> None:
        self.misplaced = False
        self._inside, self._end = 0, b""

    def __call__(self, data: bytes) -> None:
        # The last byte of a piece is looked at with the next, which says what follows it.
        piece = self._end + data if self._end else b"\n" + data.removeprefix(BOM)
        self._end = piece[-2:]
        if b'"' not in piece:
            return
        text = np.frombuffer(piece, np.uint8)
        quotes = np.flatnonzero(text[1:-1] == QUOTE) + 1
        opening, closing = quotes[self._inside :: 2], quotes[1 - self._inside :: 2]
        self._inside ^= len(quotes) % 2
        self.misplaced |= not (AROUND[text[opening - 1]].all() and AROUND[text[closing + 1]].all())


def _look_closely(source: Source, columns: Sequence[str]) -> None:
    """Read a file slowly for the errors that it raises."""
    for _ in rows(source, columns):
        pass


@contextmanager
def _arrow_errors(source: Source, columns: Sequence[str]) -> Iterator[None]:
    """What Arrow cannot read, said with its line."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if source.format == "csv":
            _look_closely(source, columns)
        raise BadFile(f"{source.name}: cannot be read as {source.format} ({error})") from error


def _dictionary() -> Any:
    import pyarrow as pa

    return pa.dictionary(pa.int32(), pa.string())
