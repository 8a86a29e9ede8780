"""What the OpenAPI schema says beyond what the views do."""

from __future__ import annotations

from typing import Any

FIELD_ERROR = {
    "type": "object",
    "required": ["field", "code", "detail"],
    "properties": {name: {"type": "string"} for name in ("field", "code", "detail")},
}
ERROR = {
    "type": "object",
    "description": "Every error of the API. `errors` names the fields or lines to blame, if any.",
    "required": ["code", "detail", "errors"],
    "properties": {
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "errors": {"type": "array", "items": FIELD_ERROR},
    },
}
RESPONSE = {
    "description": "The request can't be done: what is wrong, and with which field.",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
}


def every_operation_may_answer_an_error(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """A hook of drf-spectacular: the one error format, as the 4XX answer of each operation."""
    result["components"]["schemas"]["Error"] = ERROR
    for operations in result["paths"].values():
        for operation in operations.values():
            operation["responses"]["4XX"] = RESPONSE
    return result
