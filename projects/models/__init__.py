"""The tables of people and work, and everything the way of a vote reads or writes."""

from projects.models.live import Confusion, LiveModel, PooledError, Prediction, Skill, TaskPosterior
from projects.models.people import ApiToken, Invite, Member, Role, SignInLink, User
from projects.models.project import Acquisition, LabelType, Learner, Project, ProjectStatus
from projects.models.work import Assignment, AssignmentStatus, Event, Gold, GoldOrigin, Task, TaskQueue, TaskState, Vote

__all__ = [
    "Acquisition",
    "ApiToken",
    "Assignment",
    "AssignmentStatus",
    "Confusion",
    "Event",
    "Gold",
    "GoldOrigin",
    "Invite",
    "LabelType",
    "Learner",
    "LiveModel",
    "Member",
    "PooledError",
    "Prediction",
    "Project",
    "ProjectStatus",
    "Role",
    "SignInLink",
    "Skill",
    "Task",
    "TaskPosterior",
    "TaskQueue",
    "TaskState",
    "User",
    "Vote",
]
