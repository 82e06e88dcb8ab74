"""Files of modules whose records are not known: what is pinned and held by nobody else may be theirs."""

from __future__ import annotations

import stat

from pinhold.inspect.files import Opened
from pinhold.inspect.view import View

KIND = "unknown"

BUILT_IN = {"iommufd_fops": "iommufd"}
"""Operations of what pins, is not read here, and may be built into the kernel; with the module that it is otherwise."""


def module(name: tuple[str, str]) -> str:
    """What it is of; "": of the kernel itself."""
    return name[0] or BUILT_IN.get(name[1], "")


def may_hold(view: View, one: Opened, name: tuple[str, str]) -> bool:
    """Whether it is a device's file of a module: files and directories of file systems pin nothing.

    name: module and symbol of its operations.  Raises drgn.FaultError.
    """
    if not module(name):
        return False
    inode = view.pointer("struct file *", one.file).f_inode.read_()
    mode = int(inode.i_mode.value_()) if inode else 0
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
