"""Consensus and annotators as tables, written as CSV or Parquet."""

from __future__ import annotations

import csv
import io
from typing import Any, BinaryIO

import numpy as np

from aggregation.core.annotators import spammer_score
from aggregation.core.votes import Ints, Votes
from aggregation.offline.analysis import Analysis
from aggregation.offline.files import Write, format_of

TABLES = {".csv": "csv", ".parquet": "parquet"}
#: Beyond, a column for each label would be wider than what reads it.
MAX_PROBABILITIES = 200
ROWS = 1 << 16


def consensus(analysis: Analysis) -> Any:
    """A pyarrow table task, label, confidence, votes, p_<label>…; the last only up to MAX_PROBABILITIES labels."""
    import pyarrow as pa

    crowd = analysis.crowd
    columns = {
        "task": crowd.tasks,
        "label": pa.array(crowd.labels, pa.string()).take(pa.array(analysis.label)),
        "confidence": analysis.confidence,
        "votes": np.bincount(crowd.votes.task, minlength=crowd.votes.n_tasks),
    }
    arrays, names = list(columns.values()), list(columns)
    if len(crowd.labels) <= MAX_PROBABILITIES:
        arrays += list(analysis.posterior.T)
        names += [f"p_{label}" for label in crowd.labels]
    return pa.table([pa.array(array) for array in arrays], names=names)


def annotators(analysis: Analysis) -> Any:
    """A pyarrow table of the annotators, in the order of the votes file."""
    import pyarrow as pa

    crowd, fit = analysis.crowd, analysis.fit
    low, high = fit.skill_interval.T
    columns = {
        "worker": pa.array(crowd.annotators, pa.string()),
        "votes": np.bincount(crowd.votes.annotator, minlength=crowd.votes.n_annotators),
        "skill": fit.skill,
        "skill_low": low,
        "skill_high": high,
        "spammer_score": pa.array(spammer_score(fit), from_pandas=True),  # null where undefined
    }
    if crowd.gold is not None:
        columns |= _on_gold(crowd.votes, crowd.gold.label)
    return pa.table(columns)


def writer(name: str, table: Any) -> Write:
    """What writes a table to a file of that name."""
    return (lambda file: _write_parquet(table, file)) if format_of(name, TABLES) == "parquet" else _csv_of(table)


def _on_gold(votes: Votes, gold: Ints) -> dict[str, Any]:
    """Votes of each annotator on gold tasks, and how many of them are right."""
    known = gold[votes.task]
    on_gold, right = votes.annotator[known >= 0], votes.annotator[votes.label == known]
    return {
        "gold_votes": np.bincount(on_gold, minlength=votes.n_annotators),
        "gold_right": np.bincount(right, minlength=votes.n_annotators),
    }


def _write_parquet(table: Any, file: BinaryIO) -> None:
    import pyarrow.parquet as pq

    pq.write_table(table, file)


def _csv_of(table: Any) -> Write:
    def write(file: BinaryIO) -> None:
        header = io.StringIO()
        csv.writer(header, lineterminator="\n").writerow(table.column_names)
        file.write(header.getvalue().encode())
        for batch in table.to_batches(max_chunksize=ROWS):
            file.write(_lines(batch))

    return write


def _lines(batch: Any) -> bytes:
    """Rows as CSV, quoted only where needed; Arrow's own writer quotes every text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    cells = [
        _quoted(column) if pa.types.is_string(column.type) else column.cast(pa.string()).fill_null("")
        for column in batch
    ]
    lines = pc.binary_join_element_wise(*cells, ",").to_pylist()
    return ("\n".join(lines) + "\n").encode() if lines else b""


def _quoted(texts: Any) -> Any:
    import pyarrow.compute as pc

    quoted = pc.binary_join_element_wise('"', pc.replace_substring(texts, '"', '""'), '"', "")
    return pc.if_else(pc.match_substring_regex(texts, '[",\r\n]'), quoted, texts)
