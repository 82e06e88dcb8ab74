"""What `ask` says of a call on a release: computed in this process once a call, and kept between runs.

Answers are kept by the hash of the specification's own files, so that no answer outlives what it was computed from.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from pinhold import trust
from pinhold.ask import cell as cells
from pinhold.ask.cell import FAILING, RELIABLE, SNAPSHOT, cell
from pinhold.ask.flags import BY_NAME, Request
from pinhold.ask.memory import MEMORY, Memory
from pinhold.mm import flags as k
from pinhold.mm.kernel import PATCHES
from pinhold.mm.releases import releases
from pinhold.mm.rules.switch import parts
from pinhold.scenario.printer import format_scenario

LOSING = frozenset({cells.STALE, SNAPSHOT, *cells.UNTIL.values()})
"""Answers of a pin whose memory is not, or not for ever, what its owner sees."""
_LARGEST = 4 << 20


@dataclass(frozen=True, slots=True)
class Answer:
    """Of one call on one release.

    words: memory -> answer.  use: flags without FOLL_FORCE that better it, "" for none; left: what is not reliable with
    them of what fails, each with its answer; right: the first release on which nothing of that fails, or "".
    """

    call: Request
    words: dict[str, str]
    use: str = ""
    left: dict[str, str] = field(default_factory=dict)
    right: str = ""

    @property
    def losing(self) -> tuple[str, ...]:
        """The memory on which the pin goes stale."""
        return tuple(name for name, word in self.words.items() if word in LOSING)

    @property
    def reliable(self) -> bool:
        """Wherever there is a pin at all, and there is one somewhere."""
        pinned = [word for word in self.words.values() if word == RELIABLE or word in FAILING]
        return bool(pinned) and all(word == RELIABLE for word in pinned)

    @property
    def shared_file(self) -> str:
        """The answer for a writable shared mapping of a file on a disk."""
        return self.words.get("shared mapping (MAP_SHARED): file on disk", "")


def request(flags: Iterable[str], pin: bool) -> Request | None:
    """The call of known flags; None where one is not known to `ask`."""
    passed = 0
    for flag in flags:
        if flag not in BY_NAME:
            return None
        passed |= BY_NAME[flag].value
    return Request(pin, passed & ~(k.FOLL_PIN if pin else k.FOLL_GET))


def named(memory: Memory) -> str:
    """A kind of memory in words."""
    return f"{memory.group}: {memory.name}"


class Oracle:
    """For one release.  keep: whether answers are kept between runs; progress: is told each call that is computed."""

    def __init__(self, release: str, keep: bool = True, progress: Callable[[str], None] = lambda call: None) -> None:
        self.release = release
        self._progress = progress
        self._place = _place(release) if keep and not PATCHES else None
        self._kept = _read(self._place)
        self._fresh = False
        self._known: dict[Request, Answer] = {}

    def answer(self, call: Request) -> Answer:
        """Computed once."""
        if call not in self._known:
            kept = self._kept.get(_key(call))
            made = _from_kept(call, kept) if kept is not None else None
            if made is None:
                self._progress(call.call)
                made = _compute(call, self.release)
                fields = {"words": made.words, "use": made.use, "left": made.left, "right": made.right}
                self._kept[_key(call)] = fields
                self._fresh = True
            self._known[call] = made
        return self._known[call]

    def scenario(self, call: Request, memory: str) -> str:
        """The test that shows a losing answer, as text; "" where the language has no words for the flags."""
        if not call.pin or call.passed & ~cells.SAYABLE:
            return ""
        one = next(each for each in MEMORY if named(each) == memory)
        made = cell(call, one, self.release).scenario
        return "" if made is None else format_scenario(made)

    def close(self) -> None:
        """Keep what was computed, where a place for it is that nobody else can change."""
        if self._place is None or not self._fresh:
            return
        with suppress(OSError):
            trust.cache_directory(self._place.parent)
            text = json.dumps(self._kept, indent=1)
            draft = self._place.with_suffix(f".{os.getpid()}")
            with open(trust.create(str(draft)), "w", encoding="utf-8") as stream:
                stream.write(text)
            draft.replace(self._place)


def _key(call: Request) -> str:
    return call.call


def _compute(call: Request, release: str) -> Answer:
    column = {memory: cell(call, memory, release).word for memory in MEMORY}
    words = {named(memory): word for memory, word in column.items()}
    losing = [memory for memory in MEMORY if column[memory] in LOSING]
    if not losing or not call.pin:
        return Answer(call, words)
    best, use, left = _badness([column[memory] for memory in losing]), "", dict[str, str]()
    passed = call.passed & ~k.FOLL_FORCE
    for other in (Request(True, passed | more) for more in (k.FOLL_LONGTERM, k.FOLL_LONGTERM | k.FOLL_WRITE)):
        found = {memory: cell(other, memory, release).word for memory in losing}
        if _badness(found.values()) < best:
            best, use = _badness(found.values()), other.words
            left = {named(memory): word for memory, word in found.items() if word != RELIABLE}
    return Answer(call, words, use, left, _right(call, release, losing))


def _badness(words: Iterable[str]) -> tuple[int, int]:
    """How many answers lose the memory at its owner's next write, and how many at all."""
    listed = list(words)
    return sum(word in (cells.STALE, SNAPSHOT) for word in listed), sum(word in LOSING for word in listed)


def _right(call: Request, release: str, losing: list[Memory]) -> str:
    """The first mainline release from this one on that answers otherwise."""
    here = parts(".".join(release.split(".")[:2]))
    for later in releases():
        if parts(later) >= here and not any(cell(call, memory, later).word in LOSING for memory in losing):
            return later
    return ""


def _from_kept(call: Request, kept: object) -> Answer | None:
    """None for what is no answer."""
    if not isinstance(kept, dict):
        return None
    words, use, left, right = (kept.get(name) for name in ("words", "use", "left", "right"))
    if not (isinstance(words, dict) and isinstance(use, str) and isinstance(left, dict) and isinstance(right, str)):
        return None
    if set(words) != {named(memory) for memory in MEMORY}:
        return None
    return Answer(call, _strings(words), use, _strings(left), right)


def _strings(found: dict[object, object]) -> dict[str, str]:
    return {str(name): str(word) for name, word in found.items()}


@cache
def digest() -> str:
    """Of all files that answers are computed from."""
    whole = hashlib.sha256()
    package = Path(__file__).parents[1]
    for room in ("mm", "ask", "scenario", "targets"):
        for path in sorted((package / room).rglob("*")):
            if path.suffix in (".py", ".toml"):
                whole.update(str(path.relative_to(package)).encode() + b"\0" + path.read_bytes() + b"\0")
    whole.update(Path(__file__).read_bytes())
    return whole.hexdigest()[:20]


def _place(release: str) -> Path | None:
    try:
        place = trust.cache_dir() / "audit" / f"{digest()}-{release}.json"
        if place.parent.exists():
            trust.check_cache(place.parent)
    except (OSError, RuntimeError):
        return None
    return place


def _read(place: Path | None) -> dict[str, object]:
    if place is None:
        return {}
    try:
        if place.stat().st_size > _LARGEST:
            return {}
        found = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
