"""What `pinhold audit` found, for a reader: call by call, the worst first, and a sentence that sums up."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from pinhold.audit.audit import Audit
from pinhold.audit.compare import Backport, Difference
from pinhold.audit.finding import NOTE, SEVERITIES, Finding, printable
from pinhold.audit.sites import Site
from pinhold.audit.values import way_words
from pinhold.report import terminal

WIDTH = 100
MOST_WAYS = 3
MOST_MEMORY = 3
MOST_TORN = 2


def audittext(
    audit: Audit,
    shown: Sequence[Finding],
    *,
    known: int = 0,
    notes: bool = False,
    everything: bool = False,
    confirmed: dict[str, str] | None = None,
) -> Iterator[str]:
    """The lines.

    shown: the findings to tell, without notes where `notes` is not set; known: how many of a baseline are not told;
    everything: a line for each call, and the wrappers; confirmed: scenario -> what a kernel said of it.
    """
    told = [one for one in shown if notes or one.severity != NOTE]
    yield from _by_call(told, confirmed or {})
    if everything:
        yield from _calls(audit)
        yield from _wrappers(audit)
    yield from _wrapped(_summary(audit, shown, known, notes), "")
    for sentence in (*audit.reading.tree.left_out, *few(audit.torn, everything or notes)):
        yield from _wrapped(f"{sentence}.", "")


def few(sentences: Sequence[str], everything: bool) -> Iterator[str]:
    """Some of them, and how many there are more."""
    most = len(sentences) if everything or len(sentences) <= MOST_TORN + 1 else MOST_TORN
    yield from sentences[:most]
    if more := len(sentences) - most:
        yield f"{more} more functions or files were parsed in part (--notes names them)"


def difference_text(found: Difference, names: Sequence[str], notes: bool, confirmed: dict[str, str]) -> Iterator[str]:
    """What the new tree has that the old one has not, then what is gone, a line each.  names: of the old one and of the
    new one."""
    told = [one for one in found.new if notes or one.severity != NOTE]
    gone = [one for one in found.gone if notes or one.severity != NOTE]
    older, newer = map(_printable, names)
    yield f"New in {newer}:" if told else f"Nothing is new in {newer}."
    yield from _by_call(told, confirmed)
    yield f"Gone since {older}:" if gone else f"Nothing is gone since {older}."
    for one in gone:
        words = f"  {one.path}:{one.line}  {one.function}()  {one.severity} {one.kind} {one.flags}"
        yield from terminal.narrowed(_printable(words.rstrip()), 4)
    yield ""
    yield from _wrapped(f"{len(told)} new, {len(gone)} gone, {found.both} in both.", "")


def series_text(found: Sequence[Backport], older: str, newer: str, confirmed: dict[str, str]) -> Iterator[str]:
    """What is stale by the rules of one release, and what the newer tree passes there."""
    for one in found:
        yield from _by_call([one.finding], confirmed)
        if one.alike is None:
            said = f"the newer tree has no such call with {one.finding.flags}"
        else:
            said = f"the newer tree passes the same ({one.alike.path}: {one.alike.function}()), and there it is right"
        yield from _wrapped(f"{said}.", "    ")
        yield ""
    words = f"{_count(len(found), 'pin')} {'is' if len(found) == 1 else 'are'} stale by the rules of {older}"
    yield from _wrapped(
        f"{words}, and not by those of {newer}." if found else f"Nothing is stale by the rules of {older} alone.", ""
    )


def _by_call(told: Sequence[Finding], confirmed: dict[str, str]) -> Iterator[str]:
    for (path, line), group in groupby(told, key=lambda one: (one.path, one.line)):
        findings = list(group)
        yield from terminal.narrowed(_printable(f"{path}:{line}  {findings[0].function}()  {findings[0].call}"), 4)
        for finding in findings:
            yield from _finding(finding, confirmed)
        yield ""


def _finding(finding: Finding, confirmed: dict[str, str]) -> Iterator[str]:
    yield from _wrapped(f"{finding.severity} {finding.kind}: {finding.says}", "  ")
    inner = "    "
    if finding.flags and finding.flags not in finding.says and not finding.flags.startswith("#"):
        yield from _wrapped(f"flags: {finding.flags}", inner)
    if finding.callers:
        ways = [way_words(way) for way in finding.callers[:MOST_WAYS]]
        more = len(finding.callers) - len(ways)
        yield from _wrapped(f"passed by {'; '.join(ways)}{f'; and {more} more' if more else ''}", inner)
    if finding.when:
        yield from _wrapped(f"when {'; '.join(finding.when[:3])}", inner)
    if finding.memory:
        names = [f"{name} ({word})" for name, word in finding.memory[:MOST_MEMORY]]
        more = len(finding.memory) - len(names)
        yield from _wrapped(f"loses {'; '.join(names)}{f'; and {more} more' if more else ''}", inner)
    for sentence in finding.advice:
        yield from _wrapped(sentence, inner)
    if finding.case and finding.severity != NOTE:
        yield from _wrapped(f"pin_user_pages.rst: {finding.case}", inner)
    if finding.scenario in confirmed:
        yield from _wrapped(confirmed[finding.scenario], inner)


def _calls(audit: Audit) -> Iterator[str]:
    yield "All calls:"
    for site in audit.sites:
        words = f"  {site.path}:{site.line}  {site.function}()  {site.call.name}()  {flags_words(site)}"
        yield from terminal.narrowed(_printable(words), 4)
    yield ""


def flags_words(site: Site) -> str:
    """The flag sets of a call."""
    if not site.value:
        return "?"
    more = ", and FOLL_WRITE by its arguments" if site.entry.open else ""
    return ", or ".join(dict.fromkeys(one.words for one in site.value)) + more


def _wrappers(audit: Audit) -> Iterator[str]:
    if audit.reading.wrappers:
        yield "Functions that pass on their callers' flags:"
        for name, sites in sorted(audit.reading.wrappers.items()):
            callers = {step.function for site in sites for one in site.value for step in one.path} - {name}
            yield from _wrapped(f"{name}() for {', '.join(sorted(callers)[:6])}", "  ")
        yield ""


def _summary(audit: Audit, shown: Iterable[Finding], known: int, notes: bool) -> str:
    gup = [site for site in audit.sites if site.gup]
    resolved = sum(site.resolved for site in gup)
    listed = list(shown)
    counts = [_count(sum(one.severity == severity for one in listed), severity) for severity in SEVERITIES]
    untold = not notes and any(one.severity == NOTE for one in listed)
    said = (
        f"{', '.join(counts)}{' (--notes tells them)' if untold else ''}, by the rules of {audit.rules}. "
        f"{_count(len(gup), 'call')} of functions that pin or get user pages, the flags of {resolved} known, and "
        f"{len(audit.sites) - len(gup)} of functions above them, in {len(audit.reading.units)} of "
        f"{_count(audit.reading.tree.seen, 'file')}."
    )
    return f"{said} {known} more {'is' if known == 1 else 'are'} in the baseline." if known else said


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _printable(words: str) -> str:
    """Names in sources that others wrote say nothing to the terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in printable(words))


def _wrapped(words: str, indent: str) -> list[str]:
    return textwrap.wrap(
        _printable(words),
        terminal.width(WIDTH),
        initial_indent=indent,
        subsequent_indent=indent + "  ",
        break_on_hyphens=False,
        break_long_words=False,
    )
