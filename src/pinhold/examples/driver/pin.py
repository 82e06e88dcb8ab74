#!/usr/bin/env python3
"""The program that makes pinhold pin by /dev/pinner, as pin.c is, in Python: for the target live.

Use: pinhold run seed --on live --pin exec:./pin.py

It declares what the driver is meant to give.  docs/mechanisms.md has the protocol; the driver pins the memory of the
process that makes the ioctl, so that "pin" is answered by asking for the ioctl, on this program's descriptor.
"""

import ctypes
import fcntl
import os
import struct
import sys

IOCTL = 16
"""The number of the system call on x86-64."""

PIN = 0x401850B0
READ = 0x400850B1
FILL = 0x400850B2
UNPIN = 0x50B3
WRITE, LONGTERM = 1, 2
PAGE = 4096


def main() -> None:
    """A line in, a line out, until the input ends."""
    try:
        device = os.open("/dev/pinner", os.O_RDWR)
    except OSError:
        device = -1
    length = 0
    print("pinhold 1 read write longterm held readable writable", flush=True)
    for line in sys.stdin:
        match line.split():
            case ["pin", *_] if device < 0:
                answer = "cannot open /dev/pinner: is the module loaded, and are you root?"
            case ["pin", _pid, address, size, access]:
                length = int(size)
                flags = LONGTERM | (WRITE if access == "write" else 0)
                area = struct.pack("=QQI4x", int(address, 16), length, flags)
                answer = f"call {IOCTL} fd:{device} {PIN} buf:{area.hex()}"
            case ["returned", value, number, *_]:
                answer = f"error {number}" if int(value) < 0 else f"held {length // PAGE}"
            case ["read", path]:
                answer = read_back(device, length, path)
            case ["write", byte]:
                answer = fill(device, int(byte))
            case ["unpin"]:
                fcntl.ioctl(device, UNPIN)
                answer = "ok"
            case _:
                answer = f"cannot do {line.strip()}"
        print(answer, flush=True)


def read_back(device: int, length: int, path: str) -> str:
    """Write all that the driver holds to the file."""
    data = ctypes.create_string_buffer(length)
    fcntl.ioctl(device, READ, struct.pack("=Q", ctypes.addressof(data)))
    with open(path, "wb") as file:
        file.write(data.raw)
    return "ok"


def fill(device: int, byte: int) -> str:
    """Let the device write."""
    try:
        fcntl.ioctl(device, FILL, struct.pack("=Q", byte))
    except PermissionError:
        return "cannot write to a read-only pin"
    return "ok"


if __name__ == "__main__":
    main()
