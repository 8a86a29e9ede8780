"""Groups of arrays and a JSON head as one npz file with a checksum: no pickle, and nothing damaged passes."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]

FORMAT = 2


def pack(head: Mapping[str, Any], groups: Mapping[str, Arrays]) -> bytes:
    """Equal contents give equal bytes."""
    arrays = {f"{group}.{name}": array for group, members in groups.items() for name, array in members.items()}
    full = {**head, "format": FORMAT, "sha256": _checksum(arrays)}
    file = io.BytesIO()
    head_array = text_array(json.dumps(full, sort_keys=True))
    np.savez_compressed(file, allow_pickle=False, head=head_array, **arrays)
    return file.getvalue()


def unpack(data: bytes) -> tuple[dict[str, Any], dict[str, Arrays]]:
    """The head and groups that were packed. Raises ValueError if it is something else, or was changed since."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        head = json.loads(array_text(arrays.pop("head")))
        if head["format"] != FORMAT:
            raise ValueError(f"format {head['format']}; this version reads format {FORMAT}, so train it again")
        if head["sha256"] != _checksum(arrays):
            raise ValueError("its checksum does not fit; it was damaged")
    except (
        AttributeError,
        BadZipFile,
        EOFError,
        KeyError,
        OSError,
        TypeError,
        ValueError,
        NotImplementedError,  # raised by zipfile for a compression or a version that it does not know
    ) as error:
        raise ValueError(f"not a stored learner: {error}") from error
    groups: dict[str, Arrays] = {}
    for name, array in arrays.items():
        group, _, member = name.partition(".")
        groups.setdefault(group, {})[member] = array
    return head, groups


def text_array(text: str) -> NDArray[np.uint8]:
    """Text as UTF-8 bytes: numpy's own string arrays drop trailing NULs."""
    return np.frombuffer(text.encode(), dtype=np.uint8)


def array_text(array: NDArray[np.uint8]) -> str:
    return array.tobytes().decode()


def _checksum(arrays: Arrays) -> str:
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
