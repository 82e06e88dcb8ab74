"""Guests that hold memory in many ways (guest_holds.py), to be looked into from outside."""

from __future__ import annotations

import json
import os
import select
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from pinhold.lab import initramfs
from pinhold.lab import target as lab
from pinhold.lab.qemu import Qemu
from pinhold.lab.store import Kernel

AGENT = "guest_holds"
DRIVERS = ("crc32_generic", "ib_uverbs", "rdma_rxe", "vduse", "virtio_vdpa", "qemu_fw_cfg")
"""What it may use more than the lab's agent, where a kernel has it; the last gives QEMU the note of its dumps."""

_PATIENCE = 900
"""Seconds; a boot takes 20."""


class Held:
    """ram: the descriptor of the guest's memory; qmp: the path of its socket."""

    def __init__(self, kernel: Kernel, folder: str, **other: Any) -> None:
        self.qmp = os.path.join(folder, "qmp")
        extra = ("-qmp", f"unix:{self.qmp},server=on,wait=off", *other.pop("extra", ()))
        self.qemu = Qemu(replace(setup(kernel), extra=extra, icount=False, **other))
        self.ram = self.qemu.ram.fileno()
        self._rest = b""
        self.missing = self._hear()["missing"]

    def do(self, word: str) -> Any:
        """Have it do something, and tell what it did."""
        self.qemu.port.sendall(f"{word}\n".encode())
        return self._hear()

    def _hear(self) -> Any:
        end = time.monotonic() + _PATIENCE
        while b"\n" not in self._rest:
            if select.select([self.qemu.port], [], [], 1)[0]:
                said = self.qemu.port.recv(65536)
                assert said, self.qemu.console()[-3000:]
                self._rest += said
            else:
                assert not self.qemu.ended() and time.monotonic() < end, self.qemu.console()[-3000:]
        line, _, self._rest = self._rest.partition(b"\n")
        return json.loads(line)


def setup(kernel: Kernel, files: Mapping[str, bytes] | None = None) -> lab.Setup:
    """That of the lab, with another process 1, and files by their paths in the guest."""
    initramfs.runtime()  # of the lab's own agent, which the other one uses
    code = {f"{initramfs.CODE}/{AGENT}.pyc": initramfs._compiled(str(Path(__file__).with_name(f"{AGENT}.py")))}
    more = {**code, **(files or {})}
    build = initramfs.build
    with (
        patch.object(initramfs, "AGENT", AGENT),
        patch.object(lab, "DRIVERS", (*lab.DRIVERS, *DRIVERS)),
        patch.object(lab, "build", lambda modules, settings, others: build(modules, settings, {**others, **more})),
    ):
        return lab.VmTarget(kernel.name, kernel, big=False)._setup(False)


@contextmanager
def holding(kernel: Kernel, **other: Any) -> Iterator[Held]:
    """The guest, as long as it is looked at.  other: of its Setup, instead of what is usual."""
    with tempfile.TemporaryDirectory(prefix="pinhold-") as folder:
        guest = Held(kernel, folder, **other)
        try:
            yield guest
        finally:
            guest.qemu.close()
