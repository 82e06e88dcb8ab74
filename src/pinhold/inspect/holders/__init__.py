"""Who holds memory: one kind of holder a file, each a walk of what the kernel keeps for it.

A walk begins at an open file: its operations tell the kind, its private_data is where the walk begins.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import ModuleType

from drgn import FaultError

from pinhold.inspect.errors import CannotLook
from pinhold.inspect.files import Names, Opened, Task, opened
from pinhold.inspect.holders import af_xdp, io_uring, pipe, rdma, udmabuf, unknown, vdpa, vduse, vfio
from pinhold.inspect.holders.kept import Run, Unseen
from pinhold.inspect.records import Holder
from pinhold.inspect.view import View

KINDS: tuple[ModuleType, ...] = (io_uring, vfio, rdma, af_xdp, udmabuf, vdpa, vduse, pipe)
"""Each has KIND, OPERATIONS, (module, symbol) of its files' operations, and held(view, private_data)."""

_BY_OPERATIONS: dict[tuple[str, str], ModuleType] = {
    (where, symbol): kind for kind in KINDS for module, symbol in kind.OPERATIONS for where in (module, "")
}
"""What a module has can be built into the kernel."""
_MODULES = frozenset(module for kind in KINDS for module, _ in kind.OPERATIONS if module)
"""Whose files are walked: what else they open belongs to what is walked."""

_LOOKS = 5
"""So often a process of a kernel that runs on is read again until two readings agree."""


@dataclass(frozen=True, slots=True)
class Found:
    """What one open file holds.  key: the same for two files that hold the same thing.

    trouble: why it could not be walked to its end; runs and unseen are then what was found until there.
    """

    holder: Holder
    key: tuple[str, int]
    runs: tuple[Run, ...] = ()
    unseen: tuple[Unseen, ...] = ()
    trouble: str = ""


class Holders:
    """The holders of a kernel, process by process."""

    def __init__(self, view: View) -> None:
        """Raises CannotLook, drgn.FaultError."""
        self._view = view
        self._names = Names(view)

    def of(self, task: Task) -> tuple[list[Found], bool]:
        """What a process has open that holds something, or may; and whether it was read consistently."""
        if not self._view.source.changes:
            return self._tolerant(task), True
        before: list[Found] | None = None
        found: list[Found] = []
        for _ in range(_LOOKS):
            found = self._tolerant(task)
            if found == before and not any(one.trouble for one in found):
                return found, True
            before = found
        return found, False

    def _tolerant(self, task: Task) -> list[Found]:
        """A process that goes while it is read has nothing; a file that does has trouble."""
        try:
            return [found for one in opened(self._view, task) for found in self._of_file(one)]
        except (FaultError, CannotLook, LookupError) as wrong:
            return [Found(Holder("descriptors", task.process), ("", task.mm), trouble=str(wrong))]

    def _of_file(self, one: Opened) -> Iterator[Found]:
        name = self._names.operations(one.operations)
        kind = _BY_OPERATIONS.get(name)
        if kind is None:
            if name[0] not in _MODULES and unknown.may_hold(self._view, one, name):
                module = unknown.module(name)
                yield Found(Holder(unknown.KIND, one.task.process, one.fd, module), (module, one.private))
            return
        found = Found(Holder(kind.KIND, one.task.process, one.fd), (kind.KIND, one.private))
        runs: list[Run] = []
        unseen: list[Unseen] = []
        trouble = ""
        try:
            for each in kind.held(self._view, one.private):
                if isinstance(each, Run):
                    runs.append(each)
                else:
                    unseen.append(each)
        except (FaultError, CannotLook, LookupError, ValueError) as wrong:
            trouble = str(wrong) or type(wrong).__name__
        if runs or unseen or trouble:
            yield replace(found, runs=tuple(runs), unseen=tuple(unseen), trouble=trouble)
