"""`pinhold kernels config`: the fragment of a configuration that guests need, and what of it a .config has lost."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from pinhold.commands import UsageError
from pinhold.lab.fragment import Lost, Sections, fragment, lost, release, sections
from pinhold.report.terminal import wrapped
from pinhold.scenario.verdict import EXIT_HELD, EXIT_VIOLATED
from pinhold.targets.live.kconfig import parse


def main(options: Namespace) -> int:
    """Print it; with --check 0: nothing is lost, 1: something is."""
    asked = sections(options.full, options.kasan)
    if options.check is not None:
        return _check(Path(options.check), asked)
    words = ["pinhold kernels config", *(f"--{name}" for name in ("full", "kasan") if getattr(options, name))]
    print(fragment(asked, " ".join(words)), end="")
    return EXIT_HELD


def _check(file: Path, asked: Sections) -> int:
    text = _text(file)
    of = release(text)
    gone = list(lost(text, asked))
    count = len({line.name for lines in asked.values() for line in lines if line.asked_of(of)})
    kernel = f"Linux {of}" if of else f"{file} does not say of which release it is"
    if not gone:
        print(f"{kernel}: nothing is lost, all {count} lines are there")
        return EXIT_HELD
    print(f"{kernel}: {len(gone)} of {count} lines {'is' if len(gone) == 1 else 'are'} lost")
    for one in sorted(gone, key=lambda one: (not one.boots, not one.skips)):
        print("\n".join(wrapped(_words(one), indent="    ")))
    print("\n".join(["", *wrapped(_WHY_LOST)]))
    return EXIT_VIOLATED


_WHY_LOST = (
    "kconfig drops without a word what depends on something that is off: in `make menuconfig`, / and the name tells on "
    "what"
)


def _words(one: Lost) -> str:
    after = "; no guest comes up without it" if one.boots else "; tests are skipped" if one.skips else ""
    value = {"n": "is off", "y": "is on"}.get(one.value, f"is {one.value}")
    return f"{one.line} {value}: {one.line.why}{after}"


def _text(file: Path) -> str:
    try:
        text = file.expanduser().read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UsageError(f"cannot read {str(file)!r}: {error.strerror}") from None
    if not parse(text):
        raise UsageError(f"{str(file)!r} is no .config: no line of it begins with CONFIG_; a build tree has it")
    return text
