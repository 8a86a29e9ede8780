"""Answers kept for requests that carry an Idempotency-Key."""

from django.db import models
from django.db.models.functions import Now

from projects.models.people import User


class IdempotencyKey(models.Model):
    """One keyed request of one user: what was asked and, once it is done, what was answered."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+", db_index=False)
    path = models.CharField(max_length=200)
    key = models.CharField(max_length=255)
    digest = models.BinaryField(max_length=32)  # SHA-256 of method, path, query and body
    status = models.SmallIntegerField(null=True)  # of the answer; null = in progress
    body = models.BinaryField(null=True)
    claimed_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            # Whoever inserts the row does the work. Its index finds a repeat, too.
            models.UniqueConstraint(fields=["user", "path", "key"], name="idempotency_key_once"),
        ]
        indexes = [
            models.Index(fields=["claimed_at"], name="idempotency_key_old"),  # read by the sweeper, which forgets
        ]
