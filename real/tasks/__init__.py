"""Tasks with ground truth that ship with the package: multiple choice, short generation, small programs."""

from real.tasks.items import TASKS, Task, task

__all__ = ["TASKS", "Task", "task"]
