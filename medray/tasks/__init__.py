"""The shapes of question that a search can answer: one module for each, and everything else asks it.

single     each image is of one of several classes, in no order
ordered    each image is of one of several grades, in their order
several    each image may have any of several labels, or none
"""

from collections.abc import Mapping

from medray.tasks.ordered import ORDERED
from medray.tasks.several import SEVERAL
from medray.tasks.single import SINGLE
from medray.tasks.task import Task

#: Every task by its name; the first is that of a search space which names none.
TASKS: Mapping[str, Task] = {task.name: task for task in (SINGLE, ORDERED, SEVERAL)}

__all__ = ["ORDERED", "SEVERAL", "SINGLE", "TASKS", "Task"]
