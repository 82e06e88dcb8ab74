"""What is found at a call: its kind, how much it matters, and what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from pinhold.audit.values import Step

ERROR, WARNING, NOTE = "error", "warning", "note"
SEVERITIES = (ERROR, WARNING, NOTE)


@dataclass(frozen=True, slots=True)
class Kind:
    """name; words: what it is, in a sentence; severity: the highest that it has."""

    name: str
    words: str
    severity: str


KINDS = {
    kind.name: kind
    for kind in (
        Kind("FORCE", "a driver passes FOLL_FORCE, which is for debuggers", ERROR),
        Kind("STALE", "on this release the device loses the memory that its owner sees", ERROR),
        Kind("BOOLFLAGS", "a boolean or a number is passed where FOLL_* flags are taken", ERROR),
        Kind("LASTLEAK", "a loop that fails leaves the page that it got last", ERROR),
        Kind("ERRLEAK", "a path of failure leaves pages that were got", WARNING),
        Kind("GETHELD", "pages that stay with a driver were got by get_user_pages(), not pinned", WARNING),
        Kind("NODIRTY", "pages that were written are released and never marked dirty", WARNING),
        Kind("POSITIVERET", "a short count becomes the result of a function that returns 0 or an errno", WARNING),
        Kind("NEEDLESSWRITE", "FOLL_WRITE for pages that are only read", WARNING),
        Kind("NOLONGTERM", "pins that stay with a driver were taken without FOLL_LONGTERM", NOTE),
        Kind("PUTFORPIN", "a pin is released as if it were a reference", NOTE),
        Kind("UNPINFORGET", "a reference is released as if it were a pin", NOTE),
        Kind("UNSIGNEDRET", "an errno is kept in a variable that cannot be negative", NOTE),
        Kind("UNRESOLVED", "the flags are not known", NOTE),
    )
}


@dataclass(frozen=True, slots=True)
class Finding:
    """At one call, of one set of flags where it is about flags.

    call: as "pin_user_pages_fast(flags)"; flags: "FOLL_LONGTERM"; callers: who passes them, each the way; when: under
    which conditions; says: a sentence; advice: what to do, sentences; memory: what `ask` says goes stale, kind by kind;
    case: of the kernel's documentation; scenario: a test that shows it, "" for none; nth: how many findings before it
    are alike but for their line.
    """

    kind: str
    severity: str
    path: str
    line: int
    function: str
    call: str
    says: str
    flags: str = ""
    callers: tuple[tuple[Step, ...], ...] = ()
    when: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    memory: tuple[tuple[str, str], ...] = ()
    case: str = ""
    scenario: str = ""
    nth: int = 0

    @property
    def key(self) -> tuple[str, ...]:
        """What stays the same as long as the source does, wherever in the file it is."""
        callers = ",".join(sorted({way[0].function for way in self.callers if way}))
        own = self.kind, printable(self.path), self.function, self.call, self.flags, callers
        return (*own, str(self.nth)) if self.nth else own


def numbered(findings: Iterable[Finding]) -> list[Finding]:
    """With `nth` for those that are alike but for their line."""
    seen: Counter[tuple[str, ...]] = Counter()
    made = []
    for one in findings:
        made.append(replace(one, nth=seen[one.key]) if seen[one.key] else one)
        seen[one.key] += 1
    return made


def printable(path: str) -> str:
    """A path as text: bytes of a name that are none, as \\xff."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
