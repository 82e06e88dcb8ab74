"""--pin, --module, --swap, --deadline: what the user gives real kernels: programs that pin memory, modules, a kind of
swap, time.  --with: what models are given, functions in the place of mm/'s."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pinhold.commands import UsageError
from pinhold.targets.base import Unavailable

if TYPE_CHECKING:
    from pinhold.lab.luggage import Luggage
    from pinhold.targets.live.pins.external import External


def external(options: Namespace, targets: Sequence[str]) -> list[External]:
    """The programs, each asked for what it declares.  Raises UsageError."""
    texts: Sequence[str] | None = options.pin
    if not texts:
        if options.pin_timeout is not None:
            raise UsageError("--pin-timeout is for a program of --pin, and none is given: add --pin exec:PROGRAM")
        return []
    from pinhold.targets.live.pins.external import PREFIX, External

    if not any(name == "live" or name.startswith("vm:") for name in targets):
        raise UsageError(f"--pin {texts[0]!r} is for real kernels, and none is among the targets: add --on live")
    programs = []
    for text in texts:
        if not text.startswith(PREFIX) or text == PREFIX:
            raise UsageError(
                f"--pin takes {PREFIX}PROGRAM, not {text!r}; a scenario names a built-in mechanism itself, by 'via'"
            )
        try:
            if "live" in targets:
                programs.append(External(text.removeprefix(PREFIX), reply_seconds(options)))
        except Unavailable as reason:
            raise UsageError(str(reason)) from None
    return programs


def reply_seconds(options: Namespace) -> float:
    """Of --pin-timeout."""
    from pinhold.targets.live.pins.external import REPLY_SECONDS

    given: int | None = getattr(options, "pin_timeout", None)
    return REPLY_SECONDS if given is None else float(given)


def deadline(options: Namespace, targets: Sequence[str]) -> float:
    """Seconds of processor time of one step.  Raises UsageError."""
    from pinhold.targets.live.progress import DEADLINE

    if options.deadline is None:
        return DEADLINE
    if not any(name == "live" or name.startswith("vm:") for name in targets):
        raise UsageError("--deadline is for real kernels, and none is among the targets: add --on live")
    return float(options.deadline)


def luggage(options: Namespace, targets: Sequence[str]) -> Luggage:
    """What the guests among the targets take along.  Raises UsageError."""
    from pinhold.lab.errors import LabError
    from pinhold.lab.luggage import Luggage
    from pinhold.targets.live.pins.external import PREFIX

    guests = any(name.startswith("vm:") for name in targets)
    for option, value in (("--module", options.module), ("--swap", options.swap)):
        if value and not guests:
            raise UsageError(f"{option} is for guests, and no target is one: add --on vm:REL")
    if not guests:
        return Luggage()
    programs = [text.removeprefix(PREFIX) for text in getattr(options, "pin", None) or ()]
    modules = tuple(Path(file) for file in options.module or ())
    given = Luggage(modules, tuple(programs), options.swap or "disk", reply_seconds(options))
    try:
        given.code()
        given.files()
    except LabError as reason:
        raise UsageError(str(reason)) from None
    return given


@contextmanager
def patches(files: Sequence[str]) -> Iterator[None]:
    """For a command's time the functions of these files are those of every model.  Raises UsageError."""
    from pinhold.compiler.patch import BadPatch, patched
    from pinhold.mm.kernel import place_of

    with ExitStack() as stack:
        try:
            stack.enter_context(patched(files))
        except BadPatch as reason:
            raise UsageError(str(reason)) from None
        except OSError as error:  # Untrusted, too
            raise UsageError(f"{error.filename}: {error.strerror}") from None
        try:
            yield
        except (ArithmeticError, LookupError, NameError, TypeError, ValueError) as error:
            if place := place_of(error):
                raise UsageError(f"{place}: {error}") from None
            raise


def only_models(options: Namespace, targets: Sequence[str]) -> None:
    """--with is for models.  Raises UsageError where none is among the targets."""
    if options.patches and not any(name.startswith("model:") for name in targets):
        raise UsageError("--with is for models, and no target is one: add --on model:REL")
