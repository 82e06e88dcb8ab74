"""Files of modules whose records are not known: what is pinned and held by nobody else may be theirs."""

from __future__ import annotations

import stat

from pinhold.inspect.files import Opened
from pinhold.inspect.view import View

KIND = "unknown"


def may_hold(view: View, one: Opened, name: tuple[str, str]) -> bool:
    """Whether it is a device's file of a module: files and directories of file systems pin nothing.

    name: module and symbol of its operations.  Raises drgn.FaultError.
    """
    if not name[0]:
        return False
    inode = view.pointer("struct file *", one.file).f_inode.read_()
    mode = int(inode.i_mode.value_()) if inode else 0
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
