"""The mechanisms of live kernels that take pages of a process, in order of preference."""

from __future__ import annotations

from pinhold.targets.live.pins.base import Copier, Holder, Mechanism
from pinhold.targets.live.pins.direct_io import DirectIo
from pinhold.targets.live.pins.forced import ProcMem, Ptrace
from pinhold.targets.live.pins.gup_test import GupTest
from pinhold.targets.live.pins.io_uring import IoUring
from pinhold.targets.live.pins.pinprobe import PinProbe
from pinhold.targets.live.pins.process_vm import ProcessVm
from pinhold.targets.live.pins.vfio import Vfio
from pinhold.targets.live.pins.vmsplice import Vmsplice

_HOLDERS: tuple[Holder, ...] = (
    GupTest(),
    PinProbe(longterm=True),
    PinProbe(longterm=False),
    IoUring(),
    Vfio(),
    Vmsplice(),
)

HOLDERS: dict[str, Holder] = {holder.name: holder for holder in _HOLDERS}
"""Those that hold what they take."""

COPIERS: dict[str, Copier] = {copier.name: copier for copier in (ProcessVm(), DirectIo())}
"""Those that let go before they return."""

PROC_MEM = ProcMem()
PTRACE = Ptrace()

MECHANISMS: dict[str, Mechanism] = {**HOLDERS, **COPIERS, PROC_MEM.name: PROC_MEM, PTRACE.name: PTRACE}
