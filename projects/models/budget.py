"""Money: what a project may still spend, and what it has paid. Amounts are in the unit of the project's budget."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from projects.models.people import Member
from projects.models.project import Project
from projects.models.work import Vote

#: Digits of an amount after the point: exact, never floating.
PLACES = 4


class BudgetShare(models.Model):
    """A part of what a project may still lease for. Several, so that people who lease at once don't wait in one row.

    A project whose votes cost nothing has none. ``price`` is what a vote costs that is leased now.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+", db_index=False)
    number = models.SmallIntegerField()
    price = models.DecimalField(max_digits=12, decimal_places=PLACES)
    available = models.DecimalField(max_digits=16, decimal_places=PLACES, null=True)  # null = no budget, no limit

    class Meta:
        constraints = [
            # Read by whoever leases.
            models.UniqueConstraint(fields=["project", "number"], name="budget_share_once"),
            # The hard cap: what is leased was there, whoever asks at once.
            models.CheckConstraint(condition=Q(available__gte=0), name="budget_not_exceeded"),
        ]


class Payment(models.Model):
    """A line of the ledger: what one counted vote cost. Append-only: a trigger refuses everything else."""

    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, db_constraint=False, related_name="+", db_index=False
    )
    annotator = models.ForeignKey(Member, on_delete=models.CASCADE, related_name="payments", db_index=False)
    vote = models.OneToOneField(Vote, on_delete=models.CASCADE, related_name="payment")
    amount = models.DecimalField(max_digits=12, decimal_places=PLACES)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(amount__gt=0), name="payment_positive")]
        indexes = [
            # Read by the ledger's pages and by its sums, which need nothing else.
            models.Index(fields=["project", "id"], include=["annotator", "amount"], name="payment_by_project"),
            # Read by an annotator's own progress.
            models.Index(fields=["annotator"], include=["amount"], name="payment_of_annotator"),
        ]
