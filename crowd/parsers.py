"""Bodies that are held in memory are bounded before they are read."""

from __future__ import annotations

from typing import IO, Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

from projects.errors import TooLarge


class BoundedJSONParser(JSONParser):
    """JSON up to ``DATA_UPLOAD_MAX_MEMORY_SIZE``; 413 beyond, without reading the rest."""

    def parse(self, stream: IO[Any], media_type: str | None = None, parser_context: Any = None) -> Any:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        try:
            length = int(parser_context["request"].META.get("CONTENT_LENGTH") or 0)
        except ValueError:
            length = 0
        message = f"This body is larger than {limit:,} bytes. Only task and vote uploads may be larger."
        if length > limit:
            raise TooLarge(message)
        try:
            return super().parse(stream, media_type, parser_context)
        except RequestDataTooBig as error:
            raise TooLarge(message) from error
        except RecursionError as error:
            raise ParseError("This JSON is nested too deeply.") from error
