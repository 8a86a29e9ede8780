"""COPY: whole columns out of PostgreSQL, read by numpy without a Python object for each row; and rows into it.

Binary format: https://www.postgresql.org/docs/current/sql-copy.html. Where no value is null, all rows are equally long.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import orjson
from django.db import connection

#: Signature, flags and the length of an extension that nobody has written yet; and the mark behind the last row.
HEADER, TRAILER = 19, 2


def copy_columns(query: str, parameters: dict[str, Any], **types: str) -> dict[str, np.ndarray[Any, Any]]:
    """The columns of a query by name, in the order of its select list.

    types: the numpy type of each: ``i8`` for bigint, ``i4`` for integer, ``i2`` for smallint. No value may be null.
    Raises ValueError if the rows are not of these types.
    """
    row = _row(types)
    received = bytearray()
    with connection.cursor() as cursor, cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT binary)", parameters) as copy:
        for block in copy:
            received += block
    body = memoryview(received)[HEADER : len(received) - TRAILER]
    whole, rest = divmod(len(body), row.itemsize)
    rows = np.frombuffer(body, dtype=row, count=whole)
    lengths = [(rows[f"length of {name}"] == np.dtype(kind).itemsize).all() for name, kind in types.items()]
    if rest or not all(lengths) or not (rows["columns"] == len(types)).all():
        raise ValueError(f"the query's columns are not of types {types}, or a value is null")
    return {name: rows[name].astype(kind) for name, kind in types.items()}


def _row(types: dict[str, str]) -> np.dtype[np.void]:
    """How many columns, and each value behind its length, all most significant byte first."""
    columns = [field for name, kind in types.items() for field in ((f"length of {name}", ">i4"), (name, f">{kind}"))]
    return np.dtype([("columns", ">i2"), *columns])


def copy_rows(table: str, rows: Iterable[str]) -> None:
    r"""COPY rows into a table: columns in order, tab-separated, ``\N`` for null, no text that would need escaping."""
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN") as copy:
        copy.write("".join(f"{row}\n" for row in rows))


def as_array(numbers: np.ndarray[Any, Any]) -> str:
    """Finite numbers [n] as a text that PostgreSQL reads as an array: psycopg would look at each of them."""
    return f"{{{orjson.dumps(np.ascontiguousarray(numbers), option=orjson.OPT_SERIALIZE_NUMPY).decode()[1:-1]}}}"


def as_text(numbers: np.ndarray[Any, np.dtype[np.float64]]) -> list[str]:
    """Each row of f8[n, m], finite, as text: its numbers with commas between, from which equal numbers are read."""
    if not numbers.size:
        return [""] * len(numbers)
    return orjson.dumps(np.ascontiguousarray(numbers), option=orjson.OPT_SERIALIZE_NUMPY).decode()[2:-2].split("],[")
