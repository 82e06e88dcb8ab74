"""Processes and what they have open, by the kernel's own records; descriptors are read as raw words."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from drgn import FaultError, Object, offsetof

from pinhold.inspect import vma
from pinhold.inspect.errors import CannotLook
from pinhold.inspect.records import Process
from pinhold.inspect.view import View

_MOST_FDS = 1 << 20
"""sysctl_nr_open as it is: a table that claims more is not one."""


@dataclass(frozen=True, slots=True)
class Task:
    """A process.  task: its struct task_struct *; mm: the address of its struct mm_struct, 0 for a kernel thread."""

    process: Process
    task: Object
    mm: int


@dataclass(frozen=True, slots=True)
class Opened:
    """An open file.  file, operations, private: addresses of the struct file, of its f_op and of its private_data."""

    task: Task
    fd: int
    file: int
    operations: int
    private: int


def tasks(view: View) -> Iterator[Task]:
    """Every process.  Raises CannotLook, drgn.FaultError."""
    for task in vma.tasks(view):
        yield Task(Process(int(task.tgid.value_()), vma.name_of(task)), task, int(task.mm.value_()))


def opened(view: View, task: Task) -> Iterator[Opened]:
    """Raises CannotLook, drgn.FaultError."""
    files = task.task.files.read_()
    if not files:
        return
    table = files.fdt.read_()
    count = int(table.max_fds.value_())
    if not 0 <= count <= _MOST_FDS:
        raise CannotLook(f"process {task.process.pid} has room for {count} descriptors: its record is damaged")
    type_ = view.program.type("struct file")
    at = offsetof(type_, "f_op"), offsetof(type_, "private_data")
    data = view.read(int(table.fd.value_()), 8 * count)
    for fd, (file,) in enumerate(struct.iter_unpack("<Q", data)):
        if file:
            operations, private = (struct.unpack("<Q", view.read(file + offset, 8))[0] for offset in at)
            yield Opened(task, fd, file, operations, private)


class Names:
    """What tables of operations are called: (module, symbol), the module "" for the kernel itself."""

    def __init__(self, view: View) -> None:
        """Raises CannotLook, drgn.FaultError."""
        self._view = view
        self._modules = dict(view.modules())
        self._known: dict[int, tuple[str, str]] = {}
        self._symbols: dict[str, dict[int, str]] = {}

    def operations(self, address: int) -> tuple[str, str]:
        """Of a struct file_operations; symbol "": it has no name that is known.  Raises drgn.FaultError, CannotLook."""
        found = self._known.get(address)
        if found is None:
            name = self._view.symbols.name(address)
            found = self._known[address] = ("", name) if name else self._of_module(address)
        return found

    def _of_module(self, address: int) -> tuple[str, str]:
        owner = self._view.at("struct file_operations", address).owner.read_()
        if not owner:
            return "", ""
        name = owner.name.string_().decode("utf-8", "backslashreplace")
        return name, self.symbol(name, address) if name in self._modules else ""

    def symbol(self, module: str, address: int) -> str:
        """What a module calls what begins there; "": nothing.  Raises drgn.FaultError."""
        if module not in self._symbols:
            self._symbols[module] = dict(_symbols(self._view, self._modules[module]))
        return self._symbols[module].get(address, "")


_SYMBOL = struct.Struct("<IBBHQQ")
"""Elf64_Sym: name, info, other, section, value, size."""
_MOST_SYMBOLS = 1 << 18
_LONGEST = 512


def _symbols(view: View, module: Object) -> Iterator[tuple[int, str]]:
    """Address and name of each symbol that a module kept (struct mod_kallsyms)."""
    table = module.kallsyms.read_()
    if not table:
        return
    count = min(int(table.num_symtab.value_()), _MOST_SYMBOLS)
    names = int(table.strtab.value_())
    for name, _, _, _, value, _ in _SYMBOL.iter_unpack(view.read(int(table.symtab.value_()), _SYMBOL.size * count)):
        if name and value:
            try:
                text = view.program.read_c_string(names + name, max_size=_LONGEST)
            except FaultError:
                continue
            yield value, text.decode("utf-8", "backslashreplace")
