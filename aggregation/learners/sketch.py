"""Features of any kind as a few dense columns that keep distances: for clusters and for batches that differ."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

COLUMNS = 64
#: Learners whose features say how unlike two tasks are. Short texts share few words: nearly all are equally far apart,
#: and spreading them over the queue gained nothing.
SPREADING = {"embeddings", "images", "numeric"}


def sketch(X: Any, columns: int = COLUMNS, seed: int = 0) -> NDArray[np.float32]:
    """Features [N, D], dense or sparse, as f4[N, min(D, columns)].

    Up to `columns` columns stay as they are. More are added up with random signs: distances change by about
    sqrt(2 / columns) of themselves. Achlioptas, D.: Database-friendly random projections, Journal of Computer and
    System Sciences 66(4), 2003, doi:10.1016/S0022-0000(03)00025-4.
    """
    if X.shape[1] <= columns:
        return np.asarray(X.toarray() if hasattr(X, "toarray") else X, dtype=np.float32)
    signs = np.random.default_rng(seed).integers(2, size=(X.shape[1], columns)).astype(np.float32) * 2 - 1
    return np.asarray(X.astype(np.float32) @ (signs / np.float32(np.sqrt(columns))))
