"""Signatures as the Standard Webhooks specification has them (version 1, symmetric): https://www.standardwebhooks.com."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence

PREFIX = "whsec_"


def new_secret() -> str:
    """32 random bytes, as the specification writes secrets."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def signed_headers(*, message: str, timestamp: int, body: bytes, keys: Sequence[str]) -> dict[str, str]:
    """What a receiver verifies a message by. timestamp: of this attempt, in Unix seconds. keys: secrets."""
    signatures = [_signature(key, f"{message}.{timestamp}.".encode() + body) for key in keys]
    return {
        "webhook-id": message,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }


def _signature(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
