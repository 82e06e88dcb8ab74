"""Stands in for QEMU: speaks the agent's side of the protocol over the descriptor of the second serial port.

What it does with a scenario is in the scenario's title: "panic", "killed", "hang", "slow", "spin", "beat", "livelock",
"corrupt", "nonsense", "traceback"; anything else is held.
FAKE_BOOT in the environment says how it comes up: "panic", "halted", "silent", "traceback" or well.
"""

import os
import re
import socket
import sys
import time
from collections.abc import Callable
from itertools import count

from pinhold.lab.protocol import Decoder, encode

INFO = {"name": "live", "release": "6.1.0-fake", "rules": "6.1.192", "config": {}, "mechanisms": {}}
TRACEBACK = b'Traceback (most recent call last):\r\n  File "agent.py"\r\nMemoryError\r\n'
NMI = """
Kernel panic - not syncing: NMI: Not continuing
Call Trace:
 <NMI>
 dump_stack_lvl+0x45/0x5b
 unknown_nmi_error.cold+0x1c/0x1c
 exc_nmi+0x10d/0x140
RIP: 0010:hugetlb_wp+0x1fe/0xb40
RSP: 0018:ffffa2c9402ffd68 EFLAGS: 00000246
 </NMI>
 <TASK>
 hugetlb_fault+0x6c1/0x9c0
 ? __pfx_lock_mm_and_find_vma+0x10/0x10
 handle_mm_fault+0x251/0x290
"""
VERDICT = {"kind": "held", "text": None, "reason": None, "step": None}


def main() -> None:
    """Come up, then answer until the host hangs up."""
    port = socket.socket(fileno=int(re.search(r"socket,id=port,fd=(\d+)", " ".join(sys.argv))[1]))
    print("Linux version 6.1.0-fake", flush=True)
    if os.environ.get("FAKE_BOOT") == "panic":
        print("Kernel panic - not syncing: No working init found.", flush=True)
        return
    if os.environ.get("FAKE_BOOT") == "halted":
        print("Decoding failed\n\n -- System halted", flush=True)
        time.sleep(600)
    if os.environ.get("FAKE_BOOT") == "silent":
        time.sleep(600)
    if os.environ.get("FAKE_BOOT") == "traceback":
        port.sendall(TRACEBACK)
        return
    port.sendall(encode({"hello": INFO, "missing": {}}))
    decoder = Decoder()
    while data := port.recv(65536):
        for message in decoder.feed(data):
            if "clock" in message or "go" in message:
                continue
            if "run" not in message:
                return
            if not answer(port, message["run"]):
                return


def spin(beat: Callable[[], None] = lambda: None) -> None:
    """Compute, like a kernel that lets nothing else run, until the monitor is told to interrupt it.

    beat: what still has its turn now and then.
    """
    monitor = socket.socket(fileno=int(re.search(r"socket,id=monitor,fd=(\d+)", " ".join(sys.argv))[1]))
    monitor.setblocking(False)
    for turn in count(1):
        sum(range(100_000))
        if not turn % 10:
            beat()
        try:
            if monitor.recv(64) == b"nmi\n":
                break
        except BlockingIOError:
            continue
    print(NMI, flush=True)


def answer(port: socket.socket, text: str) -> bool:
    """Whether it goes on."""
    record = {"index": 0, "outcome": [0, None, None], "check": None, "expected": None, "seen": [0, [], []]}
    step = encode({"step": record, "places": {"P": [4711, {"x": 0x10000}]}})
    port.sendall(step)
    if "panic" in text:
        print("BUG: unable to handle page fault\nKernel panic - not syncing: Fatal exception", flush=True)
        print(*(f"R{number}: 0000" for number in range(40)), sep="\n", flush=True)
        return False
    if "killed" in text:
        os.kill(os.getpid(), 9)
    if "hang" in text:
        time.sleep(600)
    if "slow" in text:
        time.sleep(2)
    if "spin" in text:
        spin()
        return False
    if "beat" in text:
        spin(lambda: port.sendall(encode({"beat": True})))
        return False
    if "livelock" in text:
        verdict = {**VERDICT, "kind": "livelock", "reason": "kernel stack hugetlb_wp < hugetlb_fault", "step": 1}
        port.sendall(encode({"verdict": {"verdict": verdict, "mechanisms": {}, "seconds": 0.5, "pools": {}}}))
        return True
    if "traceback" in text:
        for part in (TRACEBACK[:2], TRACEBACK[2:]):
            port.sendall(part)
            time.sleep(0.3)
        return True
    if "corrupt" in text:
        port.sendall(step[:-1] + b"?")
    if "nonsense" in text:
        port.sendall(
            encode(
                {"verdict": {"verdict": {**VERDICT, "kind": "perhaps"}, "mechanisms": {}, "seconds": 1, "pools": {}}}
            )
        )
    port.sendall(encode({"verdict": {"verdict": VERDICT, "mechanisms": {}, "seconds": 0.5, "pools": {}}}))
    return True


main()
