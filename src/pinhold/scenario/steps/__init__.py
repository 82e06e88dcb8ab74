"""The steps of a scenario: what a process, a pin's user or a device does next.

Each step is a frozen value of a class that is its record: see table.py.  A region is a named stretch of a process's
memory; it keeps its name in a child after fork().  Pages are counted in base pages (4 KiB) from the start of the
region, bytes are 0..255 and fill whole pages.

The families are imported in the order of the manual, in which the table collects them.
"""

# isort: skip_file

from pinhold.scenario.ranges import Range
from pinhold.scenario.steps.memory import (
    Capability,
    ClearSoftDirty,
    Drain,
    Exit,
    Fork,
    Ksm,
    LimitMemlock,
    Madvise,
    Map,
    Mprotect,
    Mremap,
    NumaHint,
    Read,
    SwapIn,
    SwapOut,
    UffdioContinue,
    Unmap,
    Write,
    Writeback,
)
from pinhold.scenario.steps.parts import PROTS
from pinhold.scenario.steps.pins import (
    PIN_USERS,
    POKES,
    Copy,
    DeviceRead,
    DeviceWrite,
    DirectRead,
    DirectWrite,
    Fill,
    Hold,
    IoUring,
    Pin,
    Poke,
    ProcessVmReadv,
    ProcessVmWritev,
    Unpin,
    Vmsplice,
)
from pinhold.scenario.steps.schedule import Advance, Settle, Start
from pinhold.scenario.steps.expect import (
    FRAME_RELATIONS,
    STATES,
    Expectation,
    ExpectByte,
    ExpectErrno,
    ExpectFrame,
    ExpectPinByte,
    ExpectPinSees,
    ExpectSound,
    Require,
)
from pinhold.scenario.steps.scenario import Scenario, done_by
from pinhold.scenario.steps.table import STEPS, Action, Schedule, Statement, Step, actions, startable

__all__ = [
    "FRAME_RELATIONS",
    "PIN_USERS",
    "POKES",
    "PROTS",
    "STATES",
    "STEPS",
    "Action",
    "Advance",
    "Capability",
    "ClearSoftDirty",
    "Copy",
    "DeviceRead",
    "DeviceWrite",
    "DirectRead",
    "DirectWrite",
    "Drain",
    "Exit",
    "ExpectByte",
    "ExpectErrno",
    "ExpectFrame",
    "ExpectPinByte",
    "ExpectPinSees",
    "ExpectSound",
    "Expectation",
    "Fill",
    "Fork",
    "Hold",
    "IoUring",
    "Ksm",
    "LimitMemlock",
    "Madvise",
    "Map",
    "Mprotect",
    "Mremap",
    "NumaHint",
    "Pin",
    "Poke",
    "ProcessVmReadv",
    "ProcessVmWritev",
    "Range",
    "Read",
    "Require",
    "Scenario",
    "Schedule",
    "Settle",
    "Start",
    "Statement",
    "Step",
    "SwapIn",
    "SwapOut",
    "UffdioContinue",
    "Unmap",
    "Unpin",
    "Vmsplice",
    "Write",
    "Writeback",
    "actions",
    "done_by",
    "startable",
]
