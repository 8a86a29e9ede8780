"""Answers in JSON."""

from __future__ import annotations

from typing import Any

import orjson
from rest_framework.renderers import JSONRenderer
from rest_framework.utils.encoders import JSONEncoder

_default = JSONEncoder().default


class FastJSONRenderer(JSONRenderer):
    """What REST framework's own writes, by orjson; what orjson does not know (numbers beyond 64 bits), by that one."""

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        if data is None:
            return b""
        try:
            return orjson.dumps(data, default=_default, option=orjson.OPT_PASSTHROUGH_DATETIME)
        except TypeError:
            body: bytes = super().render(data, accepted_media_type, renderer_context)
            return body
