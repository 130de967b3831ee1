"""What can be wrong with a task, or with asking for what only an active node has."""

from __future__ import annotations

from core.base.errors import LeydenError


class NodeNotActive(LeydenError):
    """Lightning is not up: activation did not run, is under way, or failed."""


class TaskNotFound(LeydenError):
    """No task has this id: never started, forgotten, cancelled or being cancelled."""

    def __init__(self, *, task_id: int) -> None:
        super().__init__(task_id=task_id)
        self.task_id = task_id


class TaskFinished(LeydenError):
    """The task ended before it could be cancelled."""

    def __init__(self, *, task_id: int) -> None:
        super().__init__(task_id=task_id)
        self.task_id = task_id
