"""What an errno says of the step that ended with it: a promise was broken, or something could not be set up.

Each step's class declares what it may meet (its `meets`), and the verdict of a step that failed follows from that.
A promise is about memory: that a process reaches its own, and that whoever takes pages of it gets them.  Everything
else that a step needs (a mapping, a file, a process, a limit, a kernel that has the call) is set up, and a set-up that
fails violates nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pinhold.scenario.errnos import errno_name

Reasons = Mapping[str, str]
"""Errno -> why, in words."""


@dataclass(frozen=True, slots=True)
class Meets:
    """The errnos that a step may meet; any other is one that nothing explains: an error of the tool.

    promise: by these the step breaks what it promises.  refused: the machine, this user's rights or a sandbox did not
    let it be tried, whatever a scenario expected of it.  declined: this kernel or this machine does not do it with such
    memory, which decides nothing unless the scenario asks for the errno.
    """

    promise: frozenset[str] = frozenset()
    refused: Reasons = field(default_factory=dict)
    declined: Reasons = field(default_factory=dict)

    def refuses(self, errno: int) -> bool:
        """Whether the step was not even tried."""
        return errno_name(errno) in self.refused

    def judge(self, errno: int, note: str | None = None) -> tuple[str, str]:
        """The verdict of a step that failed so, and why in words.  note: what the target says about it."""
        name = errno_name(errno)
        if name in self.promise:
            return "violated", f"{name} ({note})" if note else name
        why = self.refused.get(name) or self.declined.get(name)
        if why is not None:
            return "skipped", f"{note or why} ({name})"
        return "error", f"{name}{f' ({note})' if note else ''}, which this step is not known to meet"


FORBIDDEN: Reasons = {
    "EPERM": "this user, or a sandbox, may not do it",
    "EACCES": "this user, or a sandbox, may not do it",
    "ENOSYS": "this kernel, or a sandbox, has no such call",
}

NO_MEMORY: Reasons = {"ENOMEM": "too little memory is free for it"}

NO_FILES: Reasons = {
    "EMFILE": "too many files are open",
    "ENFILE": "too many files are open on this machine",
}

NO_DISK: Reasons = {
    "ENOSPC": "no space is left for its file",
    "EDQUOT": "no space is left for its file",
    "EFBIG": "its file is larger than files may be here",
    "EROFS": "the temporary directory is read-only",
    "ENOENT": "the temporary directory is not there",
    "EIO": "the device behind its file failed",
}

UNSUITABLE: Reasons = {"EINVAL": "not with such memory on this kernel"}

SHORT: Reasons = {"EAGAIN": "the kernel was short of something"}

UNMAPPED: Reasons = {"ENOMEM": "part of it is not mapped, or memory or room for mappings is short"}

REFUSED = {**FORBIDDEN, **NO_FILES}
"""What keeps any system call from being tried."""

CANNOT = Meets(refused={**REFUSED, **NO_MEMORY, "EAGAIN": "a limit of this user or machine is reached"})
"""A step that promises nothing, such as fork()."""

REACHES = Meets(frozenset({"EFAULT"}), {**REFUSED, **NO_MEMORY})
"""A process that reads or writes its own memory."""

CHANGES = Meets(refused=REFUSED, declined={**UNMAPPED, **UNSUITABLE, **SHORT})
"""System calls that change mappings."""

TAKES = Meets(
    frozenset({"EFAULT"}),
    REFUSED,
    {
        "ENOMEM": "needs a higher RLIMIT_MEMLOCK, or CAP_IPC_LOCK, or more free memory",
        "EOPNOTSUPP": "no pages of that kind of file can be taken so here",
        "EBUSY": "what takes the pages is in use",
        "EIO": "what takes the pages failed",
        "EHWPOISON": "the memory is broken",
        **dict.fromkeys(("ENODEV", "ENXIO", "ENOENT", "ENOTTY"), "what takes the pages is not there"),
        **dict.fromkeys(("ENOSPC", "E2BIG", "EOVERFLOW"), "what takes the pages has no room for so many"),
        **SHORT,
        **UNSUITABLE,
    },
)
"""Whoever takes pages of a process: it gets them, where the process has them."""

COPIES_PAGES = Meets(
    TAKES.promise,
    {**REFUSED, **NO_DISK, **NO_MEMORY},
    {"EHWPOISON": "the memory is broken", **SHORT, **UNSUITABLE},
)
"""Those that take pages while they copy to or from a file or another process."""

REFERS = Meets(TAKES.promise, {**REFUSED, **NO_MEMORY}, COPIES_PAGES.declined)
"""Those that take references, which nobody is charged for."""

TASKS = Meets(TAKES.promise | {"EEXIST", "ENOENT"}, {}, {**CHANGES.declined, "EBUSY": "pages stayed in memory"})
"""A schedule's steps: they end with what any operation of their tasks may meet on a model."""
