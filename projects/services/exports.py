"""Lines of CSV files that people open in spreadsheets, and the ledger as one."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any

from django.db import connection, transaction

from projects import queries
from projects.models import Project
from projects.services.budget import plain

#: Rows fetched and sent at a time by an export.
EXPORT_ROWS = 2000
#: What makes a spreadsheet take a cell for a formula, as half-width and full-width characters.
FORMULA_STARTS = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n")


def csv_line(cells: Iterable[Any]) -> bytes:
    line = io.StringIO()
    # With RFC 4180's line ends the writer also quotes a lone carriage return, which many readers take for a line end.
    csv.writer(line, lineterminator="\r\n").writerow([_harmless(cell) for cell in cells])
    return line.getvalue().encode()


def _harmless(cell: Any) -> Any:
    """Text that a spreadsheet would run as a formula is quoted (OWASP: CSV injection)."""
    return "'" + cell if isinstance(cell, str) and cell.startswith(FORMULA_STARTS) else cell


def export_payments(*, project: Project) -> Iterator[bytes]:
    """The ledger, oldest line first, from one snapshot."""
    yield csv_line(["id", "annotator", "name", "vote", "task", "key", "amount", "currency", "created_at"])
    with transaction.atomic(), connection.connection.cursor(name="payments") as cursor:
        cursor.itersize = EXPORT_ROWS
        cursor.execute(queries.LEDGER, {"project": project.id})
        for *cells, amount, created_at in cursor:
            yield csv_line([*cells, plain(amount), project.currency, created_at.isoformat()])
