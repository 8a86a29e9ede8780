"""The slow way through a file, row by row with its place: to read JSON lines, and to say where a bad row is.

Values come as text, as they are written in the file. The places are lines of CSV and JSON lines as an editor counts
them (a quoted cell may span several) and rows of Parquet; both from 1.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO

import orjson

from aggregation.offline.files import BOM, BadFile, Source, Watch, watched

Row = tuple[int, tuple[str, ...]]

SHOWN = 12


def rows(source: Source, columns: Sequence[str], watch: Watch | None = None) -> Iterator[Row]:
    """(line or row, values of the columns) of a file; raises BadFile at the first that is wrong.

    watch: told of the bytes stored, as they are read (not of Parquet, which shows its own progress).
    """
    if source.format == "parquet":
        return _parquet_rows(source, columns)
    return {"csv": _csv_rows, "jsonl": _json_rows}[source.format](source, columns, watch)


def header(source: Source, columns: Sequence[str]) -> list[str]:
    """The names of a CSV file's columns. Raises BadFile if one of `columns` is not among them, or twice."""
    _check_start(source)
    with _text(source) as text:
        try:
            names = next((row for row in csv.reader(text, strict=True) if row), None)
        except UnicodeDecodeError:
            _check_utf8(source)
            raise
        except csv.Error as error:
            raise BadFile(f"{source.name} line 1: the header is not CSV ({error}); is a quote missing?") from error
    if names is None:
        raise BadFile(f"{source.name} is empty")
    check_columns(source, columns, names)
    return names


def check_columns(source: Source, columns: Sequence[str], names: Sequence[str]) -> None:
    """Raises BadFile unless each of `columns` is exactly one of a file's names."""
    for column in columns:
        if column not in names:
            there = ", ".join(map(repr, names[:SHOWN])) + (", …" if len(names) > SHOWN else "")
            raise BadFile(
                f"{source.name}: has no column {column!r}; it has {there}. Say which one it is with --columns (of a "
                f"gold file: --gold-columns) as in {column}=name, or separate the columns with commas"
            )
        if names.count(column) > 1:
            raise BadFile(f"{source.name}: has two columns {column!r}; give them different names")


def place(source: Source, number: int) -> str:
    return f"{source.name} {within(source, number)}"


def within(source: Source, number: int) -> str:
    """A place without the name of its file."""
    return f"row {number} (counted from 1)" if source.format == "parquet" else f"line {number}"


@contextmanager
def unpacked(source: Source, watch: Watch | None = None) -> Iterator[BinaryIO]:
    """The bytes of the format. watch: told of the bytes as stored, as they are read. Raises BadFile where decompression
    fails."""
    try:
        with source.raw() as raw, source.unpacked(watched(raw, watch) if watch else raw) as content:
            yield content
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise BadFile(f"{source.name}: is damaged and cannot be decompressed ({error}); get it again") from error


def _csv_rows(source: Source, columns: Sequence[str], watch: Watch | None) -> Iterator[Row]:
    names = header(source, columns)
    _check_utf8(source)
    wanted = [names.index(column) for column in columns]
    limit = csv.field_size_limit(sys.maxsize)
    line = 0
    try:
        with _text(source, watch) as text:
            reader = csv.reader(text, strict=True)
            next(cells for cells in reader if cells)  # the header
            while (line := reader.line_num + 1) and (cells := next(reader, None)) is not None:
                if not cells:
                    continue
                if len(cells) != len(names):
                    raise BadFile(f"{place(source, line)}: has {len(cells)} cells, the header has {len(names)}")
                yield line, _present(source, line, columns, tuple(cells[index] for index in wanted))
    except csv.Error as error:
        raise BadFile(f"{place(source, line)}: is not CSV ({error}); is a quote missing?") from error
    finally:
        csv.field_size_limit(limit)


def _json_rows(source: Source, columns: Sequence[str], watch: Watch | None) -> Iterator[Row]:
    first = True
    with unpacked(source, watch) as content:
        for number, line in enumerate(content, 1):
            line = line.removeprefix(BOM) if number == 1 else line
            if line and not line.isspace():
                yield number, _json_values(source, number, line, columns, first=first)
                first = False


def _json_values(source: Source, number: int, line: bytes, columns: Sequence[str], *, first: bool) -> tuple[str, ...]:
    try:
        item = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise BadFile(f"{place(source, number)}: is not JSON in UTF-8 ({error.msg}, column {error.colno})") from error
    if not isinstance(item, dict):
        raise BadFile(f"{place(source, number)}: is not an object; expected one a line, like {{{_example(columns)}}}")
    missing = [column for column in columns if column not in item]
    if missing:
        if first:
            check_columns(source, columns, list(item))
        raise BadFile(f"{place(source, number)}: has no {missing[0]!r}; complete or remove it")
    values = tuple(item[column] for column in columns)
    if not all(type(value) is str for value in values):
        # Again, with numbers left as they are written: 1.10 stays 1.10.
        item = json.loads(line, parse_int=str, parse_float=str)
        values = tuple(_json_text(source, number, column, item[column]) for column in columns)
    return _present(source, number, columns, values)


def _json_text(source: Source, number: int, column: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadFile(f"{place(source, number)}: {column!r} is a list or an object; expected text, number or boolean")
    return value


def _parquet_rows(source: Source, columns: Sequence[str]) -> Iterator[Row]:
    from aggregation.offline.reading import parquet_batches

    number = 0
    for batch in parquet_batches(source, columns):
        for values in zip(*(column.to_pylist() for column in batch), strict=True):
            number += 1
            yield number, _present(source, number, columns, values)


def _present(source: Source, number: int, columns: Sequence[str], values: Sequence[str | None]) -> tuple[str, ...]:
    found = tuple(value for value in values if value is not None)
    for column, value in zip(columns, values, strict=True):
        if value is None or not (value.strip() or column in source.blank):
            raise BadFile(f"{place(source, number)}: {column!r} is missing; complete or remove it")
    return found


def _check_start(source: Source) -> None:
    with unpacked(source) as content:
        start = content.read(2)
    if start in (b"\xff\xfe", b"\xfe\xff"):
        raise BadFile(f"{source.name} line 1: is UTF-16; save the file as UTF-8")


def _check_utf8(source: Source) -> None:
    with unpacked(source) as content:
        for number, line in enumerate(content, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                bad = line[error.start : error.end]
                raise BadFile(f"{place(source, number)}: is not UTF-8 ({bad!r}); save the file as UTF-8") from error


@contextmanager
def _text(source: Source, watch: Watch | None = None) -> Iterator[io.TextIOWrapper]:
    with unpacked(source, watch) as content, io.TextIOWrapper(content, encoding="utf-8-sig", newline="") as text:
        yield text


def _example(columns: Sequence[str]) -> str:
    return ", ".join(f'"{column}": …' for column in columns)
