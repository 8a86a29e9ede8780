"""Uploads: read a stream line by line, say what is wrong with which line, store all of it or nothing.

The stream is checked and spooled to disk before a transaction is opened: however slow the sender, no database
connection, lock or snapshot waits for it.
"""

from __future__ import annotations

import csv
import io
import json
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Any

import orjson
from django.conf import settings
from django.db import connection, transaction

from projects.errors import Conflict, FieldError, Invalid, InvalidTasks, TooLarge
from projects.models import Project
from projects.services.json_items import ItemTooLong, NotJson, json_items

#: So many wrong lines are reported; the rest is not read.
MAX_ERRORS = 100

csv.field_size_limit(settings.UPLOAD_MAX_LINE_BYTES)


class LineError(Exception):
    """What is wrong with one line, and with which of its fields."""

    def __init__(self, detail: str, *, field: str = "", code: str = "invalid") -> None:
        super().__init__(detail)
        self.field, self.code = field, code


class Errors:
    """Collects per-line errors. ``place`` is what the format counts: "line" or "item"."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.found: list[FieldError] = []

    def add(self, number: int, error: LineError) -> None:
        field = f"{self.place} {number}.{error.field}" if error.field else f"{self.place} {number}"
        self.found.append(FieldError(field, error.code, str(error)))

    @property
    def full(self) -> bool:
        return len(self.found) >= MAX_ERRORS


class BoundedReader(io.RawIOBase):
    """A request's body as a raw stream that refuses to give more than ``limit`` bytes."""

    def __init__(self, source: IO[bytes], limit: int) -> None:
        self.source, self.limit, self.count = source, limit, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self.source.read(len(buffer))
        self.count += len(chunk)
        if self.count > self.limit:
            raise TooLarge(f"This upload is larger than {self.limit:,} bytes: send it in several parts.")
        buffer[: len(chunk)] = chunk
        return len(chunk)


def body_reader(source: IO[bytes]) -> io.BufferedReader:
    return io.BufferedReader(BoundedReader(source, settings.UPLOAD_MAX_BYTES), 1 << 18)


def lines_of(stream: io.BufferedReader) -> Iterator[str]:
    """Lines as text (with their ends), each bounded; raises LineError for one that is too long or no UTF-8."""
    limit = settings.UPLOAD_MAX_LINE_BYTES
    first = True
    while line := stream.readline(limit + 1):
        if len(line) > limit:
            raise LineError(f"is longer than {limit:,} bytes", code="line_too_long")
        try:
            # Spreadsheets put a byte order mark first.
            yield line.decode("utf-8-sig" if first else "utf-8")
        except UnicodeDecodeError as error:
            raise LineError(f"is not UTF-8 (byte {error.start + 1} of the line)", code="not_utf8") from error
        first = False


def csv_records(stream: io.BufferedReader, errors: Errors) -> Iterator[tuple[int, dict[str, str]]]:
    """The records of a CSV file (RFC 4180) with a header, each with the number of the line it starts on."""
    counted = _CountedLines(lines_of(stream))
    reader = csv.reader(counted, strict=True)
    header: list[str] | None = None
    while not errors.full:
        start = counted.number + 1
        try:
            row = next(reader)
            if header is None:
                header = _header(row)
                continue
            if not row:
                continue  # an empty line
            if len(row) != len(header):
                raise LineError(f"has {len(row)} columns, the header has {len(header)}", code="wrong_columns")
        except StopIteration:
            return
        except csv.Error as error:
            # What follows can't be told apart any more: stop here.
            errors.add(start, LineError(f"is not valid CSV: {error}", code="not_csv"))
            return
        except LineError as error:
            errors.add(start, error)
            if error.code in ("line_too_long", "not_utf8", "invalid_header"):
                return
            continue
        yield start, dict(zip(header, row, strict=True))


def _header(row: list[str]) -> list[str]:
    names = [name.strip() for name in row]
    if not names:
        raise LineError("the header is empty", code="invalid_header")
    if not all(names):
        raise LineError(f"column {names.index('') + 1} of the header has no name", code="invalid_header")
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise LineError(f"the header names {name[:50]!r} twice", code="invalid_header")
    return names


class _CountedLines:
    """Lines, and how many were read: a CSV record can span several."""

    def __init__(self, lines: Iterator[str]) -> None:
        self.lines, self.number = lines, 0

    def __iter__(self) -> _CountedLines:
        return self

    def __next__(self) -> str:
        line = next(self.lines)
        self.number += 1
        return line


def ndjson_records(stream: io.BufferedReader, errors: Errors) -> Iterator[tuple[int, Any]]:
    """The values of newline-delimited JSON, one a line; empty lines are passed over."""
    number = 0
    lines = lines_of(stream)
    while not errors.full:
        number += 1
        try:
            line = next(lines)
            if line.strip():
                yield number, _json_of(line)
        except StopIteration:
            return
        except LineError as error:
            errors.add(number, error)
            if error.code != "not_json":
                return


def json_records(stream: io.BufferedReader, errors: Errors) -> Iterator[tuple[int, Any]]:
    """The items of a JSON array, or of the array under "tasks", read one by one."""
    number = 0
    limit = settings.UPLOAD_MAX_LINE_BYTES
    try:
        for item in json_items(stream, limit):
            number += 1
            if errors.full:
                return
            try:
                yield number, _json_of(item.decode())
            except UnicodeDecodeError:
                errors.add(number, LineError("is not UTF-8", code="not_utf8"))
            except LineError as error:
                errors.add(number, error)
    except NotJson as error:
        errors.add(number + 1, LineError(f"is not JSON: {error}", code="not_json"))
    except ItemTooLong:
        errors.add(number + 1, LineError(f"is longer than {limit:,} bytes", code="line_too_long"))


#: orjson makes an inexact float of an integer beyond 64 bits; the standard library keeps it.
LONG_INTEGER = re.compile(r"\d{19}")


def _json_of(text: str) -> Any:
    """One JSON value: strict (no NaN, no lone surrogates) and exact. Raises LineError "not_json"."""
    try:
        value = orjson.loads(text)
        return json.loads(text) if LONG_INTEGER.search(text) else value
    except orjson.JSONDecodeError as error:
        raise LineError(f"is not JSON: {error.msg} at column {error.colno}", code="not_json") from error
    except (RecursionError, ValueError) as error:
        raise LineError("is nested too deeply or holds too long a number", code="not_json") from error


READERS = {
    "application/json": ("item", json_records),
    "application/x-ndjson": ("line", ndjson_records),
    "text/csv": ("line", csv_records),
}


@contextmanager
def spool() -> Iterator[IO[bytes]]:
    """A file for checked lines: in memory while small."""
    with tempfile.SpooledTemporaryFile(max_size=8 << 20) as file:
        yield file


def copy_line(values: Iterable[Any]) -> bytes:
    r"""One line of PostgreSQL's COPY text format: tab-separated, \N for null."""
    cells = []
    for value in values:
        if value is None:
            cells.append(b"\\N")
            continue
        text = value if isinstance(value, bytes) else str(value).encode()
        text = text.replace(b"\\", b"\\\\").replace(b"\t", b"\\t").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
        cells.append(text)
    return b"\t".join(cells) + b"\n"


def copy_into(table: str, columns: str, file: IO[bytes]) -> None:
    """COPY a spooled file into a (temporary) table of the present transaction."""
    file.seek(0)
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
        while chunk := file.read(1 << 18):
            copy.write(chunk)


@contextmanager
def merging(project: Project) -> Iterator[Project]:
    """A transaction in which nobody else merges an upload into this project or changes what its tasks depend on.

    Look-ups by key stay true till commit. Gives the project as it is now: reading a slow sender's lines took a while.
    Raises Conflict if its labels, which the lines were checked against, are others now.
    """
    with transaction.atomic():
        lock_tasks_of(project.id)
        now = Project.objects.get(id=project.id)
        if now.labels != project.labels:
            raise Conflict("The project's labels were changed meanwhile: upload again.", code="edited_meanwhile")
        yield now


def lock_tasks_of(project_id: int) -> None:
    """Till commit, whoever adds tasks to this project or changes a setting of all its tasks does so alone."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('upload'), %s)", [project_id])


def refuse(errors: list[FieldError], kind: type[Invalid] = InvalidTasks) -> None:
    if errors:
        raise kind(errors=errors[:MAX_ERRORS])
