"""Stands in for QEMU: speaks the agent's side of the protocol over the descriptor of the second serial port.

What it does with a scenario is in the scenario's title: "panic", "killed", "hang", "corrupt", "nonsense"; anything else
is held.
FAKE_BOOT in the environment says how it comes up: "panic", "silent" or well.
"""

import os
import re
import socket
import sys
import time

from pinhold.lab.protocol import Decoder, encode

INFO = {"name": "live", "release": "6.1.0-fake", "rules": "6.1.192", "config": {}, "mechanisms": {}}
VERDICT = {"kind": "held", "text": None, "reason": None, "step": None}


def main() -> None:
    """Come up, then answer until the host hangs up."""
    port = socket.socket(fileno=int(re.search(r"socket,id=port,fd=(\d+)", " ".join(sys.argv))[1]))
    print("Linux version 6.1.0-fake", flush=True)
    if os.environ.get("FAKE_BOOT") == "panic":
        print("Kernel panic - not syncing: No working init found.", flush=True)
        return
    if os.environ.get("FAKE_BOOT") == "silent":
        time.sleep(600)
    port.sendall(encode({"hello": INFO, "missing": {}}))
    decoder = Decoder()
    while data := port.recv(65536):
        for message in decoder.feed(data):
            if "run" not in message:
                return
            if not answer(port, message["run"]):
                return


def answer(port: socket.socket, text: str) -> bool:
    """Whether it goes on."""
    step = encode({"step": {"index": 0, "outcome": [0, None], "check": None, "seen": [0, [], []]}})
    port.sendall(step)
    if "panic" in text:
        print("BUG: unable to handle page fault\nKernel panic - not syncing: Fatal exception", flush=True)
        print(*(f"R{number}: 0000" for number in range(40)), sep="\n", flush=True)
        return False
    if "killed" in text:
        os.kill(os.getpid(), 9)
    if "hang" in text:
        time.sleep(600)
    if "corrupt" in text:
        port.sendall(step[:-1] + b"?")
    if "nonsense" in text:
        port.sendall(encode({"verdict": {"verdict": {**VERDICT, "kind": "perhaps"}, "mechanisms": {}, "seconds": 1}}))
    port.sendall(encode({"verdict": {"verdict": VERDICT, "mechanisms": {}, "seconds": 0.5}}))
    return True


main()
