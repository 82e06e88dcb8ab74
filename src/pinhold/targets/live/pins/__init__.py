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


def holders(release: str | None = None) -> dict[str, Holder]:
    """Those that hold what they take, as a kernel of that release has them; None: the running one."""
    those: tuple[Holder, ...] = (
        GupTest(release=release),
        PinProbe(longterm=True),
        PinProbe(longterm=False),
        IoUring(release=release),
        Vfio(),
        Vmsplice(),
    )
    return {holder.name: holder for holder in those}


HOLDERS = holders()

DIRECT_IO = DirectIo()

COPIERS: dict[str, Copier] = {copier.name: copier for copier in (ProcessVm(), DIRECT_IO)}
"""Those that let go before they return."""

PROC_MEM = ProcMem()
PTRACE = Ptrace()

MECHANISMS: dict[str, Mechanism] = {**HOLDERS, **COPIERS, PROC_MEM.name: PROC_MEM, PTRACE.name: PTRACE}
