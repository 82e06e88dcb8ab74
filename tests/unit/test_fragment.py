"""`pinhold kernels config`: the fragment for merge_config.sh, and what of it a .config has lost."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pinhold.cli import main
from pinhold.lab.fragment import TINY, Line, lost, release, sections
from pinhold.targets.live.kconfig import OPTIONS, parse

HEAD = "#\n# Automatically generated file; DO NOT EDIT.\n# Linux/x86 {} Kernel Configuration\n#\n"
EVERY = {line.name: line for lines in sections(full=True, kasan=True).values() for line in lines}


def config(release: str, **other: str) -> str:
    """A .config with every line of the fragment as it is asked for, but for `other`."""
    values = {name: line.value for name, line in EVERY.items()} | other
    set_ = "".join(f"CONFIG_{name}={value}\n" for name, value in values.items() if value != "n")
    return HEAD.format(release) + set_


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What `kernels config` prints."""
    assert main(["kernels", "config", *words]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("words", [(), ("--full",), ("--full", "--kasan")])
def test_each_line_has_its_reason(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """Every line that merge_config.sh reads stands below a comment that is a reason, and none stands twice."""
    lines = printed(capsys, *words).splitlines()
    read = [number for number, line in enumerate(lines) if re.fullmatch(r"CONFIG_\w+=.*|# CONFIG_\w+ is not set", line)]
    assert len(read) == sum(len(part) for part in sections("--full" in words, "--kasan" in words).values())
    for number in read:
        assert re.fullmatch(r"# (?!CONFIG_|---).{3,}", lines[number - 1]), lines[number]
    assert not any(line.startswith("# --- --full") for line in printed(capsys).splitlines())


def test_the_fragment_has_every_option_that_is_ever_missed() -> None:
    """What a skip, or a refusal to boot, can name is asked for; what is only of use with an option, by --full."""
    tiny = {line.name for lines in TINY.values() for line in lines}
    assert set(OPTIONS) - tiny == {"ZRAM"}
    assert set(OPTIONS) <= set(EVERY)


def test_what_is_printed_reads_back_as_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A .config that is the fragment itself has lost nothing; one of the tiny fragment has lost what --full adds."""
    file = tmp_path / ".config"
    file.write_text(printed(capsys))
    assert "nothing is lost" in printed(capsys, "--check", str(file))
    assert main(["kernels", "config", "--full", "--check", str(file)]) == 1
    assert "CONFIG_NUMA_BALANCING=y is off" in capsys.readouterr().out


@pytest.mark.parametrize("name", EVERY)
def test_each_line_that_is_lost_is_named(name: str) -> None:
    """One that is otherwise is lost, alone, and with the value that is there."""
    wrong = {"n": "y", "2": "1", "4": "1", '"-pinhold"': '""'}.get(EVERY[name].value, "n")
    (gone,) = lost(config("6.12.117", **{name: wrong}), {"": tuple(EVERY.values())})
    assert (gone.line.name, gone.value) == (name, wrong)


@pytest.mark.parametrize(
    ("name", "value", "of", "gone"),
    [
        ("PROC_SYSCTL", "n", "7.3.4", False),
        ("PROC_SYSCTL", "n", "6.1.192", True),
        ("VFIO_GROUP", "n", "6.1.192", False),
        ("VFIO_GROUP", "n", "6.12.117", True),
        ("SERIAL_8250_NR_UARTS", "32", "6.1.192", False),
        ("EXT4_FS", "m", "6.1.192", False),
        ("SLUB_TINY", "y", "6.12.117", True),
    ],
)
def test_only_what_a_release_has_can_be_lost_there(name: str, value: str, of: str, gone: bool) -> None:
    """Names that a release does not have, larger numbers and modules are no loss."""
    found = [one.line.name for one in lost(config(of, **{name: value}), {"": tuple(EVERY.values())})]
    assert (name in found) == gone


def test_the_release_is_read_from_the_first_lines() -> None:
    """As kconfig writes it; without it every line is asked for."""
    assert release(HEAD.format("6.1.192")) == "6.1.192"
    assert release(HEAD.format("7.3.0-rc2")) == "7.3.0"
    assert release("CONFIG_SMP=y\n") == ""
    assert Line("X", "why", since="6.6").asked_of("") and not Line("X", "why", since="6.6").asked_of("6.5.1")


def test_what_keeps_a_guest_from_coming_up_is_said_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Then what skips tests, then the rest: at 80 columns, each with its reason."""
    file = tmp_path / ".config"
    file.write_text(config("7.3.4", KALLSYMS="n", GUP_TEST="n", BINFMT_SCRIPT="n"))
    assert main(["kernels", "config", "--check", str(file)]) == 1
    out = capsys.readouterr().out
    assert out.startswith("Linux 7.3.4: 3 of ")
    assert "the guest's /init, which is a script; no guest" in out
    order = [out.index(f"CONFIG_{name}") for name in ("BINFMT_SCRIPT", "GUP_TEST", "KALLSYMS")]
    assert order == sorted(order)
    assert max(len(line) for line in out.splitlines()) <= 80


@pytest.mark.parametrize(("content", "words"), [(b"\x7fELF\0\0", "is no .config"), (None, "No such file")])
def test_what_is_no_configuration_gets_a_sentence(
    content: bytes | None, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An image, or nothing at all: status 3."""
    file = tmp_path / "vmlinux"
    if content is not None:
        file.write_bytes(content)
    assert main(["kernels", "config", "--check", str(file)]) == 3
    assert words in capsys.readouterr().err


def test_the_fragment_is_a_configuration() -> None:
    """parse() reads of a line what the line asks for."""
    assert parse(str(Line("SLUB_TINY", "why", "n"))) == {"SLUB_TINY": "n"}
    assert parse(str(Line("NR_CPUS", "why", "2"))) == {"NR_CPUS": "2"}
