"""What a run says of its beginning."""

from __future__ import annotations

import re
from pathlib import Path

from pinhold.cli import parser
from pinhold.commands.started import again, memory, started


def test_what_another_run_of_a_test_needs_too_is_kept() -> None:
    """The options that change what a test comes to; not where reports go, nor which tests."""
    words = "run seed --on vm:6.1 -o a.xml --strict --swap zram --pin exec:a --pin exec:b --pin-timeout 9"
    words += " --allow-change ksm --counts --with a.py --without 1G --jobs 2"
    kept = "--with a.py --pin exec:a --pin exec:b --pin-timeout 9 --swap zram --allow-change ksm --counts"
    assert " ".join(again(parser().parse_args(words.split()))) == kept
    assert again(parser().parse_args(["run", "seed"])) == ()


def test_when_where_and_by_what(tmp_path: Path) -> None:
    """In UTC; the memory as /proc/meminfo has it, if it can be read."""
    begun = started(parser().parse_args(["run", "seed"]), ["run", "seed"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", begun.time)
    assert begun.command == ("pinhold", "run", "seed") and begun.host
    file = tmp_path / "meminfo"
    file.write_text("MemTotal:       2048 kB\nMemFree:  1 kB\nMemAvailable:   1024 kB\n")
    assert memory(str(file)) == (2048, 1024)
    file.write_text("MemTotal:\n")
    assert memory(str(file)) == memory(str(tmp_path / "none")) == (None, None)
