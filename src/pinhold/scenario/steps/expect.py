"""What a scenario requires and expects: steps that change nothing."""

from __future__ import annotations

from pinhold.scenario.errnos import ERRNO, OK
from pinhold.scenario.forms import Word, form, words
from pinhold.scenario.ranges import Range
from pinhold.scenario.steps.parts import BYTE, OTHER_PROC, OTHER_RANGE, PIN, PROC, RANGE
from pinhold.scenario.steps.table import Statement, step

STATES = ("present", "swapped", "none", "huge")
FRAME_RELATIONS = ("same", "different")

_ERRNO = Word("errno", "ERRNO", {name: name for name in (OK, *ERRNO)}, "OK or the name of an errno such as EINVAL")


class Expectation(Statement):
    """Something that a verdict is about."""

    __slots__ = ()

    @property
    def text(self) -> str | None:
        """How the scenario calls it."""
        raise NotImplementedError


@step(form("require", PROC, RANGE, words("state", "|".join(STATES), STATES), text=True))
class Require(Statement):
    """A precondition: where it does not hold the scenario is skipped with `text`.  `huge`: mapped by one huge entry."""

    proc: str
    range: Range
    state: str
    text: str | None = None


@step(form("expect", "sound", text=True))
class ExpectSound(Expectation):
    """None of the specification's safety properties is violated as things are: only a model can tell."""

    text: str | None = None


@step(form("expect", "errno", _ERRNO, text=True))
class ExpectErrno(Expectation):
    """The step before failed with this errno ("OK": succeeded)."""

    errno: str
    text: str | None = None


@step(form("expect", PIN, "sees", PROC, RANGE, text=True))
class ExpectPinSees(Expectation):
    """Page by page the pin holds the bytes that the process sees in `range`."""

    pin: str
    proc: str
    range: Range
    text: str | None = None


@step(form("expect", PIN, BYTE, text=True))
class ExpectPinByte(Expectation):
    """Every page that the pin holds contains `byte`."""

    pin: str
    byte: int
    text: str | None = None


@step(
    form(
        "expect",
        PROC,
        RANGE,
        words("relation", "|".join(FRAME_RELATIONS), FRAME_RELATIONS),
        OTHER_PROC,
        OTHER_RANGE,
        text=True,
    )
)
class ExpectFrame(Expectation):
    """The first pages of two ranges are mapped to the `same` or to `different` frames."""

    proc: str
    range: Range
    relation: str
    other_proc: str
    other_range: Range
    text: str | None = None


@step(form("expect", PROC, RANGE, BYTE, text=True))
class ExpectByte(Expectation):
    """Every page of the range reads as `byte` to the process."""

    proc: str
    range: Range
    byte: int
    text: str | None = None
