"""The kernel that runs here, by /proc/kcore: root's, and closed by lockdown.  It cannot be stopped while it is read."""

from __future__ import annotations

import errno
from pathlib import Path

from drgn import FaultError, Program

from pinhold.inspect import vmcoreinfo
from pinhold.inspect.errors import CannotLook
from pinhold.inspect.memory.source import Source

KCORE = "/proc/kcore"
_LOCKDOWN = Path("/sys/kernel/security/lockdown")
_STATUS = Path("/proc/self/status")
_RAWIO = 17
"""CAP_SYS_RAWIO."""


def missing() -> str | None:
    """Why this kernel cannot be read here, in words, found out without reading it."""
    try:
        with open(KCORE, "rb") as file:
            head = file.read(4)
    except FileNotFoundError:
        return f"this kernel has no {KCORE} (CONFIG_PROC_KCORE)"
    except OSError as wrong:
        return _refused(wrong)
    return None if head == b"\x7fELF" else f"{KCORE} is no memory of a kernel"


def _refused(wrong: OSError) -> str:
    if wrong.errno in (errno.EPERM, errno.EACCES) and "[confidentiality]" in _lockdown():
        return f"the kernel is locked down (confidentiality) and lets nobody read {KCORE}"
    if wrong.errno in (errno.EPERM, errno.EACCES) and _may():
        return f"not even root may read {KCORE} here: the kernel is locked down, or this is a container's root alone"
    if wrong.errno in (errno.EPERM, errno.EACCES):
        return f"{KCORE} is for root (CAP_SYS_RAWIO) alone"
    return f"{KCORE} cannot be read: {wrong.strerror}"


def _lockdown() -> str:
    try:
        return _LOCKDOWN.read_text()
    except OSError:
        return ""


def _may() -> bool:
    """Whether this process has CAP_SYS_RAWIO."""
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return False
    (held,) = (int(line.split()[1], 16) for line in lines if line.startswith("CapEff:"))
    return bool(held >> _RAWIO & 1)


def source() -> Source:
    """Raises CannotLook."""
    if reason := missing():
        raise CannotLook(reason)
    program = Program()
    try:
        program.set_kernel()
        info = vmcoreinfo.parse(bytes(program["VMCOREINFO"].string_()))
    except (FaultError, OSError, LookupError, ValueError) as wrong:
        raise CannotLook(f"the running kernel cannot be read: {wrong}") from None
    return Source("live", program, info, own=True, changes=True, goes_on=True)
