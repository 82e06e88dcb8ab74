"""The answer to `pinhold ask` for a reader: the table first, then what its words mean and what follows from them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from pinhold.ask.advice import Advice
from pinhold.ask.answer import Answer
from pinhold.ask.cell import ABSENT, FAILING, LEAKS, NOTHING, RELIABLE, SNAPSHOT, STALE, UNTIL, Cell
from pinhold.ask.changes import Cause, Change
from pinhold.ask.memlock import UNTOUCHED, Charge
from pinhold.ask.memory import MEMORY, Memory
from pinhold.ask.rlimit import COUNTERS, Limit, limits
from pinhold.mm.kernel import PATCHES
from pinhold.mm.releases import entry
from pinhold.report import terminal

WIDTH = 100
_NAME = 32
_LOUD = frozenset({STALE, LEAKS})
REFUSED = "Why it is refused"
LONG_HELD = (
    "Pages that are held for long, until user space says so rather than until one I/O is done, have to be pinned with "
    "FOLL_LONGTERM: a short pin is also had of memory that must not stay pinned (CMA, ZONE_MOVABLE, DAX)."
)
"""What include/linux/mm_types.h says of FOLL_LONGTERM, and pin_user_pages.rst of its cases 1 and 2, in short."""
MEANING = {
    RELIABLE: "the device sees what the process writes later, also after fork() and mprotect()",
    STALE: "the next write goes to another page: the device keeps the old data, silently",
    SNAPSHOT: "the device keeps the bytes of the moment of the pin: all that a short pin promises",
    UNTIL["fork"]: "reliable until the process forks: its next write after that goes elsewhere",
    UNTIL["mprotect"]: "reliable until mprotect() to read-only and back: its next write goes elsewhere",
    LEAKS: "what the device writes is seen by somebody who should not see it",
    NOTHING: "the call pins nothing and returns 0, no error",
}


def asktable(answer: Answer, mebibytes: int = 64) -> Iterator[str]:
    """The lines.  mebibytes: the size of a buffer whose limit is told."""
    yield from _head(answer)
    accepted = len(answer.invalid) < len(answer.releases)
    if accepted:
        yield from cells_table(answer.columns)
    for title, lines in (
        ("", list(meanings(answer.columns))),
        ("", list(_fast(answer))),
        (REFUSED, list(_refused(answer))),
        ("What to pass instead (each was run)", list(_advice(answer))),
        ("What else there is", list(_instead(answer))),
        ("What made the difference (found by turning switches back)", list(_changes(answer))),
        ("Locked memory, in pages of 4 KiB", list(_charges(answer))),
        (f"RLIMIT_MEMLOCK for {mebibytes} MiB, by who pins", list(_limits(answer, mebibytes))),
    ):
        if lines and (accepted or title == REFUSED):
            yield ""
            yield from ([title] if title else [])
            yield from lines


def patched() -> str:
    """What was not the specification's own, as a sentence; nothing where all was."""
    return f"In the place of the specification's own: {'; '.join(map(str, PATCHES))}." if PATCHES else ""


def _head(answer: Answer) -> Iterator[str]:
    request = answer.request
    promise = "is a long-term pin" if request.longterm else "is a short pin" if request.pin else "takes references"
    access = "to write to the memory" if request.write else "only to read"
    head = f"{request.call}, which adds {'FOLL_PIN' if request.pin else 'FOLL_GET'}, {promise}, {access}."
    yield from wrap(head, "")
    yield from wrap(" ".join(_summary(answer)), "")
    yield from wrap(patched(), "")
    if not request.longterm:
        yield from wrap(LONG_HELD, "")
    left_out = [f"{flag.name} ({flag.left_out})" for flag in request.flags if flag.left_out]
    if left_out:
        yield from wrap(f"What the specification leaves out: {', '.join(left_out)}.", "")


def _summary(answer: Answer) -> Iterator[str]:
    """Where it is reliable, and where not."""
    if len(answer.invalid) == len(answer.releases):
        yield "Refused before any memory is looked at."
        return
    yield from verdicts(answer.columns, answer.request.longterm)


def verdicts(columns: Columns, longterm: bool) -> Iterator[str]:
    """On which releases the pin is reliable, and in how many rows not, a sentence each."""
    good: list[str] = []
    none: list[str] = []
    bad: dict[int, list[str]] = {}
    for release, column in columns.items():
        words = [cell.word for cell in column.values()]
        failing = sum(word in FAILING for word in words)
        if failing:
            bad.setdefault(failing, []).append(release)
        else:
            (good if RELIABLE in words else none).append(release)
    if good:
        yield f"Reliable wherever it pins on {', '.join(good)}."
    if bad:
        what = "Not reliable" if longterm else "Does not follow later writes"
        counts = [f"{rows} on {_listed(on)}" for rows, on in bad.items()]
        counts[0] = counts[0].replace(" on ", f" of {len(MEMORY)} rows on ", 1)
        yield f"{what} in {', in '.join(counts)}."
    if none:
        yield f"Never pins anything on {_listed(none)}."


Columns = Mapping[str, Mapping[Memory, Cell]]
"""Per release the cell of each memory."""


def cells_table(columns: Columns) -> Iterator[str]:
    """Kinds of memory down, releases across, in as many tables as the width takes."""
    rest = list(columns)
    while rest:
        count = len(rest)
        while count > 1 and _NAME + 3 + sum(_width(columns[r], r) + 2 for r in rest[:count]) - 2 > terminal.width(
            WIDTH
        ):
            count -= 1
        yield ""
        yield from _table(columns, rest[:count])
        del rest[:count]


def meanings(columns: Columns) -> Iterator[str]:
    """What the words of a table mean, those that are in it."""
    words = {cell.word for column in columns.values() for cell in column.values()}
    yield from _pairs([(_loud(word), text) for word, text in MEANING.items() if word in words])


def _width(column: Mapping[Memory, Cell], release: str) -> int:
    return max(len(release), *(len(cell.word) for cell in column.values()))


def _table(columns: Columns, releases: Sequence[str]) -> Iterator[str]:
    widths = [_width(columns[release], release) for release in releases]

    def line(name: str, cells: Iterable[str]) -> str:
        return "  ".join([f"{name:{_NAME}} ", *(f"{c:{w}}" for c, w in zip(cells, widths, strict=True))]).rstrip()

    yield line("", releases)
    for group, members in groupby(MEMORY, key=lambda memory: memory.group):
        yield group
        for memory in members:
            yield line(f"  {memory.name}", (_loud(columns[r][memory].word) for r in releases))


def _loud(word: str) -> str:
    return word.upper() if word in _LOUD else word


def _fast(answer: Answer) -> Iterator[str]:
    """What pin_user_pages_fast() does differently."""
    name = f"{answer.request.entry}_fast()"
    if not any(answer.fast.values()):
        yield from wrap(f"{name} gives the same in every cell.", "")
        return
    differing: dict[tuple[str, str, str], list[str]] = {}
    for release, cells in answer.fast.items():
        for memory, cell in cells.items() if release not in answer.fast_invalid else ():
            key = answer.columns[release][memory].word, cell.word, release
            differing.setdefault(key, []).append(_full(memory))
    for (slow, fast, release), names in differing.items():
        yield from wrap(f"{name} on {release}: {_loud(fast)}, not {_loud(slow)}: {_rows(names)}.", "")
    if not differing:
        yield f"{name} accepts fewer flags: see below."


def _refused(answer: Answer) -> Iterator[str]:
    for kind, reasons in (
        (answer.request.entry, answer.invalid),
        (f"{answer.request.entry}_fast", answer.fast_invalid),
    ):
        if kind.endswith("_fast") and answer.fast_invalid == answer.invalid:
            continue
        for (word, sentence), group in _grouped((why.word, why.sentence, r) for r, why in reasons.items()):
            head = f"{word} on" if word != ABSENT else "on"
            yield from wrap(f"{kind}(): {head} {_listed(group)}: {sentence}.")
    found: dict[tuple[str, str], dict[str, list[str]]] = {}
    for release, column in answer.refused.items():
        for memory, why in column.items():
            found.setdefault((why.word, why.sentence), {}).setdefault(release, []).append(_full(memory))
    for (word, sentence), by_release in found.items():
        releases = "" if list(by_release) == list(answer.releases) else f" on {_listed(by_release)}"
        yield from wrap(f"{word}{releases}: {sentence}.")


def _advice(answer: Answer) -> Iterator[str]:
    if not any(advice.failing for advice in answer.advice):
        return
    if not answer.request.longterm:
        yield from wrap("Only where the device is to see later writes, or holds the pages for long.")
    pairs = []
    for words, group in _grouped((_advised(answer, advice), advice.release) for advice in answer.advice):
        pairs.append((_listed(group), words[0]))
    yield from _pairs(pairs)


def _instead(answer: Answer) -> Iterator[str]:
    for other in answer.instead:
        if other.answers == {}:  # no row that it could cure
            continue
        ran = _grouped((_loud(word), release) for release, word in (other.answers or {}).items())
        found = "; ".join(f"{words[0]} on {_listed(group)}" for words, group in ran)
        yield from wrap(f"{other.name} (the {other.who}): {other.words}.{f' Run: {found}.' if found else ''}")


def _limits(answer: Answer, mebibytes: int) -> Iterator[str]:
    if answer.request.pin and answer.request.longterm:
        yield from limits_table(limits(answer.releases[-1]), mebibytes)


def limits_table(those: Sequence[Limit], mebibytes: int) -> Iterator[str]:
    """A line an interface, then what its counter has beside."""
    pairs = []
    for limit in those:
        small, most = (limit.needed(mebibytes, huge) >> 20 for huge in (False, True))
        size = f"{small} MiB, of huge pages up to {most} MiB" if most > small else f"{small} MiB"
        waived = "CAP_IPC_LOCK waives it" if limit.waived else "CAP_IPC_LOCK does not waive it"
        pairs.append((limit.interface, f"{size} more than {limit.counter} has; else {limit.error}; {waived}"))
    yield from _pairs(pairs)
    for counter in dict.fromkeys(limit.counter for limit in those):
        yield from wrap(f"{counter}: {COUNTERS[counter]}.")


def _advised(answer: Answer, advice: Advice) -> str:
    """One release's advice."""
    count = len(advice.failing)
    if not count:
        return f"nothing: {answer.request.words} is reliable wherever it pins."
    if advice.use is None:
        more = len(advice.cured_with_dontfork)
        also = f"; madvise(MADV_DONTFORK) by the process makes it so in {more}" if more else ""
        return f"no flag helps in the {_count(count)} where it is not reliable{also}."
    words = f"{advice.use.words}" if advice.use.pin == answer.request.pin else advice.use.call
    if len(advice.cured) == count:
        sentence = f"{words} is reliable in {'the row' if count == 1 else f'all {count} rows'} where this is not."
    else:
        parts = [f"reliable in {len(advice.cured)} of the {count} rows where this is not"]
        if advice.cured_with_dontfork:
            parts.append(f"in {len(advice.cured_with_dontfork)} more after madvise(MADV_DONTFORK)")
        for word in dict.fromkeys(word for _, word in advice.left):
            parts.append(f"{_loud(word)} in {sum(w == word for _, w in advice.left)}")
        sentence = f"{words} comes nearest: {', '.join(parts)}."
    for word in dict.fromkeys(word for _, word in advice.lost):
        sentence += f" But {_loud(word)}: {_rows([_full(m) for m, w in advice.lost if w == word])}."
    return sentence


def _changes(answer: Answer) -> Iterator[str]:
    pairs: dict[tuple[str, str], list[Change]] = {}
    for change in answer.changes:
        pairs.setdefault((change.old, change.new), []).append(change)
    for (old, new), alike in pairs.items():
        yield f"  {old} to {new}, {_count(len(alike))}:"
        causes: dict[Cause, list[Change]] = {}
        for change in alike:
            for cause in change.causes:
                causes.setdefault(cause, []).append(change)
        for cause, its in sorted(causes.items(), key=lambda item: -len(item[1])):
            alone = sum(len(change.causes) == 1 for change in its)
            share = _count(len(its)) if alone else f"{_count(len(its))}, with another"
            yield from wrap(f"{_cause(cause, new)}: {share}", "    ")
        unexplained = sum(not change.causes for change in alike)
        if unexplained:
            yield f"    no switch of the specification explains it: {_count(unexplained)}"
    if pairs:
        old, new = (name.partition(",")[0] for name in list(pairs)[-1])
        if old != new:
            yield f"  `pinhold rules diff {old} {new}` says what each switch decides."


def _count(rows: int) -> str:
    return "1 row" if rows == 1 else f"{rows} rows"


def _cause(cause: Cause, new: str) -> str:
    """A switch, and since when and by which commit the newer release has its value, unless it was switched there."""
    release, *changed = new.split(",")
    since = entry(cause.rule, release)
    known = ", ".join(word for word in (since.release, since.commit) if word)
    if any(text.partition("=")[0] == cause.rule.name for text in changed):
        known = "switched"
    return f"{cause.rule.name}: {cause.before} to {cause.after}{f' ({known})' if known else ''}"


def _charges(answer: Answer) -> Iterator[str]:
    releases = [release for release in answer.releases if release not in answer.invalid]
    if not answer.charges or not releases:
        return
    rows: list[tuple[str, Mapping[str, Charge] | None]] = []
    for what, by_user in answer.charges.items():
        rows += [(what, None), *((f"  {user}", charges) for user, charges in by_user.items())]
    fresh = next(iter(answer.charges[UNTOUCHED.name].values()))
    yield from charges_table(rows, releases)
    allocated = ", ".join(f"{fresh[r].fresh} on {r}" for r in releases)
    yield from wrap(
        "Pages charged against RLIMIT_MEMLOCK, by who pins, if it pins with these flags (io_uring itself always pins"
        f" FOLL_LONGTERM|FOLL_WRITE). Of {UNTOUCHED.name}, the pin makes the kernel allocate {allocated}."
    )


def charges_table(rows: Sequence[tuple[str, Mapping[str, Charge] | None]], releases: Sequence[str]) -> Iterator[str]:
    """A line a row: its name, and per release what is charged; "-" where there is no pin; None: a heading."""
    name = max(len(title) for title, _ in rows)
    widths = [max(len(release), 4) for release in releases]
    yield "  ".join(["  " + " " * name, *(f"{r:>{w}}" for r, w in zip(releases, widths, strict=True))])
    for title, by_release in rows:
        if by_release is None:
            yield f"  {title}"
            continue
        cells = ["-" if by_release[r].pages is None else str(by_release[r].pages) for r in releases]
        yield "  ".join([f"  {title:{name}}", *(f"{c:>{w}}" for c, w in zip(cells, widths, strict=True))])


def _full(memory: Memory) -> str:
    return f"{memory.group}: {memory.name}"


def _rows(names: Sequence[str]) -> str:
    """The rows by name where they are few."""
    few = 3
    return "; ".join(names) if len(names) <= few else f"{len(names)} rows"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


def _grouped(items: Iterable[tuple[str, ...]]) -> list[tuple[tuple[str, ...], list[str]]]:
    """What is said of each release (the last word) with the releases of which it is said."""
    found: dict[tuple[str, ...], list[str]] = {}
    for *words, release in items:
        found.setdefault(tuple(words), []).append(release)
    return list(found.items())


def _pairs(pairs: Sequence[tuple[str, str]]) -> Iterator[str]:
    """A word and what is said of it, in two columns."""
    width = max((len(word) for word, _ in pairs), default=0)
    for word, text in pairs:
        yield from textwrap.wrap(
            text, terminal.width(WIDTH), initial_indent=f"  {word:{width}}  ", subsequent_indent=" " * (width + 4),
            break_on_hyphens=False, break_long_words=False,
        )  # fmt: skip


def wrap(text: str, indent: str = "  ") -> Iterator[str]:
    """A paragraph within the width."""
    yield from textwrap.wrap(
        text, terminal.width(WIDTH), initial_indent=indent, subsequent_indent=indent + "  ",
        break_on_hyphens=False, break_long_words=False,
    )  # fmt: skip
