#!/usr/bin/env python3
"""A pin mechanism for pinhold in Python: references by vmsplice(), in a pipe of this program's; as pipe.c does it.

Use: pinhold run stock --on live --pin exec:./pipe.py

vmsplice() takes the pages of the process that calls it, as a driver's ioctl does.  So "pin" is answered by asking for
the call, on this program's end of the pipe; what is held then is read here.
"""

import ctypes
import os
import struct
import sys

VMSPLICE = 278
"""The number of the system call on x86-64; 2 is SPLICE_F_NONBLOCK."""

PAGE = 4096


def main() -> None:
    """A line in, a line out, until the input ends."""
    held = 0
    ends = (-1, -1)
    print("pinhold 1 get read fast held readable", flush=True)
    for line in sys.stdin:
        match line.split():
            case ["pin", _pid, address, length, "read"]:
                ends = os.pipe()
                area = struct.pack("=QQ", int(address, 16), int(length))
                answer = f"call {VMSPLICE} fd:{ends[1]} buf:{area.hex()} 1 2"
            case ["returned", value, number, *_]:
                held = int(value)
                answer = f"error {number}" if held < 0 else f"held {held // PAGE}"
            case ["read", path]:
                with open(path, "wb") as file:
                    file.write(contents(ends[0], held))
                answer = "ok"
            case ["unpin"]:
                for end in ends:
                    os.close(end)
                answer = "ok"
            case _:
                answer = f"cannot do {line.strip()}"
        print(answer, flush=True)


def contents(pipe: int, length: int) -> bytes:
    """What the pipe holds, without taking it out: tee() gives another pipe the same pages."""
    out, into = os.pipe()
    if ctypes.CDLL(None).tee(pipe, into, ctypes.c_size_t(length), 0) != length:
        raise OSError("tee() did not give all")
    data = os.read(out, length)
    os.close(out)
    os.close(into)
    return data


if __name__ == "__main__":
    main()
