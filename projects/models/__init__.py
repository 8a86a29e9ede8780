"""The tables of people and work, and everything the way of a vote reads or writes."""

from projects.models.budget import BudgetShare, Payment
from projects.models.idempotency import IdempotencyKey
from projects.models.live import Confusion, LiveModel, PooledError, Prediction, Skill, TaskPosterior
from projects.models.people import ApiToken, Invite, Member, Role, SignInLink, User
from projects.models.project import MOST_LEASES, Acquisition, LabelType, Learner, Order, Project, ProjectStatus
from projects.models.work import (
    Assignment,
    AssignmentStatus,
    Cursor,
    Event,
    Gold,
    GoldOrigin,
    Review,
    ReviewAction,
    SkipReason,
    Task,
    TaskQueue,
    TaskState,
    UncountedReason,
    Vote,
    VoteStatus,
)

__all__ = [
    "MOST_LEASES",
    "Acquisition",
    "ApiToken",
    "Assignment",
    "AssignmentStatus",
    "BudgetShare",
    "Confusion",
    "Cursor",
    "Event",
    "Gold",
    "GoldOrigin",
    "IdempotencyKey",
    "Invite",
    "LabelType",
    "Learner",
    "LiveModel",
    "Member",
    "Order",
    "Payment",
    "PooledError",
    "Prediction",
    "Project",
    "ProjectStatus",
    "Review",
    "ReviewAction",
    "Role",
    "SignInLink",
    "Skill",
    "SkipReason",
    "Task",
    "TaskPosterior",
    "TaskQueue",
    "TaskState",
    "UncountedReason",
    "User",
    "Vote",
    "VoteStatus",
]
