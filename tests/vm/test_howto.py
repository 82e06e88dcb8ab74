"""The commands of docs/howto/what-is-pinned.md, typed at a guest that holds memory: each answers, and in the shape that
the page shows."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

pytest.importorskip("drgn", reason="needs drgn: pip install 'pinhold[inspect]'")

from consoles import LEFT_OUT, ROOT, commands
from held import Held, holding
from pinhold.inspect.memory.qmp import Monitor
from pinhold.lab.store import Kernel

pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs" / "howto" / "what-is-pinned.md").read_text(encoding="utf-8")
PROGRAM = (sys.executable, "-I", "-m", "pinhold")
PLACE = "qmp:/run/guest.qmp"
QUICKER = ("--every 10 --times 6", "--every 1 --times 2")
"""What the page shows takes a minute."""


def typed() -> list[str]:
    """Every command line of the page's `sh` blocks, without its comment."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    lines = [shlex.join(shlex.split(line, comments=True)) for block in blocks for line in block.splitlines()]
    return list(dict.fromkeys(lines))


def shown() -> Mapping[str, str]:
    """Command line to what the page shows of its output."""
    blocks = re.findall(r"^```text\n(\$ .*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return {command.line: command.output for block in blocks for command in commands(block)}


def shape(text: str) -> Counter[str]:
    """The lines, without what is another each time: addresses, page frames, the time, room between columns."""
    for pattern, word in ((r"\b[0-9a-f]{9,}\b", "ADDRESS"), (r"^\d\d:\d\d:\d\d", "TIME"), (r" +", " ")):
        text = re.sub(pattern, word, text, flags=re.MULTILINE)
    return Counter(line for line in text.splitlines() if line and line != LEFT_OUT)


class Guest:
    """Words of the page -> what they are here."""

    def __init__(self, held: Held, folder: Path) -> None:
        self.held = held
        self.dump = folder / "vmcore"
        self.words = {"4711": "1", PLACE: f"qmp:{held.qmp}", "vmcore:/var/crash/vmcore": f"vmcore:{self.dump}"}

    def know(self) -> None:
        """A page that is held for long, by its address, its frame and its block; and a dump of all."""
        done = subprocess.run(self.command("pinhold pins --format json"), capture_output=True, check=True)
        page = next(folio for folio in json.loads(done.stdout)["folios"] if folio["state"] == "STALE")
        frame = page["pfn"]
        address = hex(page["owners"][0]["address"])
        self.words |= {"0x7f51c3a00000": address, "0x15f200": hex(frame), "42": str(frame >> 15)}
        monitor = Monitor(self.held.qmp, seconds=600)
        try:
            monitor("dump-guest-memory", paging=False, protocol=f"file:{self.dump}", format="elf")
        finally:
            monitor.close()

    def command(self, line: str) -> list[str]:
        """What is run: `this machine` is the guest."""
        words = [self.words.get(word, word) for word in shlex.split(line.replace(*QUICKER))]
        return [*PROGRAM, *words[1:], *([] if "--on" in words else ["--on", self.words[PLACE]])]

    def run(self, line: str) -> tuple[int, str]:
        """Its status, and what it prints."""
        done = subprocess.run(self.command(line), capture_output=True, text=True, timeout=900, check=False)
        return done.returncode, done.stdout + done.stderr


def watched(guest: Guest, line: str) -> tuple[int, str]:
    """The memory is written once it watches; Ctrl-C comes when it has said what the page shows."""
    lines = len(shown()[line].splitlines())
    with subprocess.Popen(guest.command(line), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        guest.held.do("written")
        said += "".join(process.stdout.readline() for _ in range(lines - 1))
        process.send_signal(signal.SIGINT)
        said += process.stdout.read()
    return process.returncode, said


@pytest.mark.parametrize("kernel", ["6.1"], indirect=True)
def test_the_commands_of_the_page_answer_as_it_shows(kernel: Kernel, tmp_path: Path) -> None:
    """Each command line of its `sh` blocks succeeds, or says that there is no such area; each output that it shows is
    printed so, but for addresses and times."""
    extra = ("-device", "vmcoreinfo")
    with holding(kernel, extra=extra, append="movablecore=128M", memory=1024) as held:
        guest = Guest(held, tmp_path)
        held.do("holders")
        held.do("only_read")
        (endless,) = (line for line in typed() if line.startswith("pinhold watch") and "--times" not in line)
        told = {endless: watched(guest, endless)}
        guest.know()
        told |= {line: guest.run(line) for line in dict.fromkeys((*typed(), *shown())) if line != endless}
    assert len(typed()) >= 12
    for line, (status, said) in told.items():
        absent = "--zone CMA" in line
        assert status == (3 if absent else 1 if line == endless else 0), f"$ {line}\n{said}"
        assert said and "Traceback" not in said, f"$ {line}\n{said}"
    for line, output in shown().items():
        assert shape(output) <= shape(told[line][1]), f"$ {line}\n{told[line][1]}"
