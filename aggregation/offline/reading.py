"""The fast way through a file: columns of texts as integers, in memory proportional to the rows.

Arrow reads CSV and Parquet in blocks and replaces each text by its number at once. It names no lines, takes a quote
that is never closed for a cell that goes on, and "a"b for ab; so whatever looks odd is read again slowly (`scanning`),
which says where it is wrong, if it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from aggregation.core.votes import Ints
from aggregation.offline.files import BadFile, Source, Watch
from aggregation.offline.pieces import Misplaced, whole_rows
from aggregation.offline.progress import bar
from aggregation.offline.scanning import check_columns, header, place, rows, unpacked

BLOCK_ROWS = 1 << 18


@dataclass(frozen=True, eq=False)
class Column:
    """n texts: index int32[n] into names, a pyarrow string array of the different ones by first appearance."""

    index: Ints
    names: Any


def read(source: Source, columns: Sequence[str]) -> list[Column]:
    """The columns of a file, each value as it is written in it. Raises BadFile, naming the line, on bad content."""
    import pyarrow as pa

    try:
        with _arrow_errors(source, columns):
            batches = list(_batches(source, columns))
    except Misplaced:
        batches = list(_scanned(source, columns))
    chunks = list(zip(*batches, strict=True)) or [()] * len(columns)
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

    with _parquet(source) as stored:
        file = pq.ParquetFile(stored)
        check_columns(source, columns, file.schema_arrow.names)
        with bar(f"reading {Path(source.name).name}", file.metadata.num_rows, " rows") as shown:
            for batch in file.iter_batches(BLOCK_ROWS, columns=list(columns)):
                yield [_texts(source, column, batch.column(column)) for column in columns]
                shown.update(batch.num_rows)


def _parquet(source: Source) -> Any:
    import pyarrow as pa

    if not source.gzipped:
        return pa.OSFile(source.name)
    with unpacked(source) as content:  # read from its end, which what is compressed as a whole has only when unpacked
        return pa.BufferReader(content.read())


def find(source: Source, columns: Sequence[str], wanted: str, limit: int = 1) -> list[str]:
    """The places of the first rows whose first column is `wanted`."""
    found = (place(source, number) for number, values in rows(source, columns) if values[0] == wanted)
    return list(islice(found, limit))


def positions(names: Any, among: Any) -> Ints:
    """Where each name is in another list, -1 if nowhere, int32."""
    import pyarrow as pa
    import pyarrow.compute as pc

    among = pa.array(among, pa.string())
    return np.asarray(pc.index_in(names, value_set=among).fill_null(-1).to_numpy(zero_copy_only=False), np.int32)


def _batches(source: Source, columns: Sequence[str]) -> Iterator[list[Any]]:
    read = {"csv": _csv_batches, "jsonl": _scanned, "parquet": parquet_batches}[source.format]
    return read(source, columns)


def _csv_batches(source: Source, columns: Sequence[str]) -> Iterator[list[Any]]:
    """Raises Misplaced at a quote that Arrow would misread."""
    import pyarrow as pa
    from pyarrow import csv

    names = header(source, columns)
    convert = csv.ConvertOptions(
        include_columns=list(columns), column_types=dict.fromkeys(columns, _dictionary()), strings_can_be_null=False
    )
    named: list[str] | None = None  # by the header, which only the first piece has
    with _reading(source) as watch, unpacked(source, watch) as content:
        # Arrow never reads from Python itself: its threads may outlive the interpreter.
        for piece in whole_rows(content):
            found = csv.read_csv(
                pa.py_buffer(piece),
                read_options=csv.ReadOptions(column_names=named),
                parse_options=csv.ParseOptions(newlines_in_values=True),
                convert_options=convert,
            )
            for batch in found.to_batches():
                yield [batch.column(column) for column in columns]
            named = names


def _scanned(source: Source, columns: Sequence[str]) -> Iterator[list[Any]]:
    """The slow way: `rows`, block by block."""
    import pyarrow as pa

    with _reading(source) as watch:
        every = rows(source, columns, watch)
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
