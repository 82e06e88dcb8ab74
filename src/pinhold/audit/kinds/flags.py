"""Kinds that the flags alone decide: FORCE, BOOLFLAGS, STALE, and NOLONGTERM."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pinhold.audit.finding import ERROR, NOTE, Finding
from pinhold.audit.kinds.context import Context, by_flags, found
from pinhold.audit.sites import Site
from pinhold.audit.values import BOOL, words
from pinhold.mm.rules.switch import parts

_MAY_FORCE = re.compile(
    r"mm/|kernel/ptrace|kernel/events|fs/proc/|fs/exec|arch/[^/]+/kernel/|security/tomoyo/|include/linux/"
)
_MAY_ACCESS = re.compile(_MAY_FORCE.pattern + "|arch/")
"""Of a kernel's tree: debuggers, /proc/PID/mem, uprobes, and what sets up a new program; and emulators of instructions,
which access their process by access_process_vm()."""
SERIES = "the series that made read-only pins reliable (6.2) took it out of all drivers"


def force(context: Context, site: Site) -> Iterator[Finding]:
    """FOLL_FORCE outside of what debugs: a driver writes where its user may not."""
    if context.reading.tree.kernel and (_MAY_FORCE if site.gup else _MAY_ACCESS).match(site.path):
        return
    for flags, alternatives in by_flags(site).items():
        if "FOLL_FORCE" not in flags:
            continue
        plain = flags - {"FOLL_FORCE"}
        instead = plain if {"FOLL_LONGTERM", "FOLL_WRITE"} - plain else {"FOLL_LONGTERM"}
        advice = [f"pass {_best(context, site, plain)}: {SERIES}" if plain else f"leave FOLL_FORCE out: {SERIES}"]
        if not _known(plain):
            advice = [f"leave FOLL_FORCE out: {SERIES}"]
        if plain >= {"FOLL_LONGTERM", "FOLL_WRITE"}:
            advice = [
                f"pass FOLL_LONGTERM, and FOLL_WRITE only where the device writes: {SERIES}",
                *_before(context, site, instead),
            ]
        says = "FOLL_FORCE is for debuggers: it pins, for writing too, what the user may not access"
        yield found(context, site, "FORCE", ERROR, says, alternatives=alternatives, advice=advice)


def _best(context: Context, site: Site, flags: frozenset[str]) -> str:
    """The flags, or what is better on the release where a pin with them goes stale."""
    answer = context.answer(site, flags) if site.pin and "FOLL_LONGTERM" in flags and _known(flags) else None
    return answer.use if answer is not None and answer.losing and answer.use else words(flags)


def _before(context: Context, site: Site, flags: frozenset[str] | set[str]) -> Iterator[str]:
    """A word of warning where the release needs more."""
    if not _known(flags):
        return
    answer = context.answer(site, flags)
    if answer is not None and answer.losing and answer.right:
        yield f"before {answer.right} a pin that only reads has to say FOLL_LONGTERM|FOLL_WRITE to stay reliable"


def boolflags(context: Context, site: Site) -> Iterator[Finding]:
    """A truth value as gup_flags."""
    if site.shape is None or site.shape.flags is None or context.core(site):
        return
    for flags, alternatives in by_flags(site).items():
        wrong = sorted(flag for flag in flags if flag == BOOL or flag.startswith("#"))
        if not wrong:
            continue
        numbers = [flag[1:] for flag in wrong if flag not in (BOOL, "#1")]
        if numbers:
            says = f"the number {int(numbers[0]):#x} is passed as gup_flags: what a bit means differs between releases"
            advice = ["write the FOLL_* names that are meant"]
        else:
            what = "a truth value" if BOOL in wrong else "the number 1"
            says = f"{what} is passed as gup_flags; true is 1, which is FOLL_WRITE by chance"
            advice = ["write FOLL_WRITE" if wrong == ["#1"] else "write condition ? FOLL_WRITE : 0"]
        yield found(context, site, "BOOLFLAGS", ERROR, says, alternatives=alternatives, advice=advice)
        return


def stale(context: Context, site: Site) -> Iterator[Finding]:
    """A long-term pin that loses its memory on the release, by what `ask` computes."""
    if not site.pin or not site.gup:
        return
    for flags, alternatives in by_flags(site).items():
        if "FOLL_LONGTERM" not in flags or not _known(flags):
            continue
        answer = context.answer(site, flags)
        if answer is None or not answer.losing:
            continue
        advice = []
        if answer.use:
            advice.append(f"pass {answer.use}: on {context.release} {_how(answer.left)}")
        if answer.right and _later(answer.right, context.release):
            advice.append(f"{words(flags)} is right from {answer.right} on")
        yield found(
            context,
            site,
            "STALE",
            ERROR if answer.use else NOTE,
            f"on {context.release} {words(flags)} loses {len(answer.losing)} of {len(answer.words)} kinds of memory"
            + ("" if answer.use else ", and no flags are better: it is the release's own"),
            alternatives=alternatives,
            advice=advice,
            memory=[(name, answer.words[name]) for name in answer.losing],
            scenario=context.oracle.scenario(answer.call, answer.losing[0]),
        )


def _how(left: dict[str, str]) -> str:
    """How good the better flags are: what they do not pin, or not reliably."""
    refused = [name for name, word in left.items() if word.isupper()]
    losing = [f"{name} ({word})" for name, word in left.items() if not word.isupper()]
    more = f", and {len(losing) - 2} more" if len(losing) > 2 else ""
    said = f"this loses less, and still {', '.join(losing[:2])}{more}" if losing else "this is reliable"
    return said + (f"; it refuses {', '.join(refused)}" if refused else "")


def _later(release: str, than: str) -> bool:
    return parts(release) > parts(".".join(than.split(".")[:2]))


def nolongterm(context: Context, site: Site) -> Iterator[Finding]:
    """A pin that is kept in a structure, and let go elsewhere, without FOLL_LONGTERM."""
    if not site.pin or not site.gup or context.core(site):
        return
    stays = context.kept(site)
    if stays is None or not stays.released:
        return
    for flags, alternatives in by_flags(site).items():
        if "FOLL_LONGTERM" in flags or not _known(flags):
            continue
        yield found(
            context, site, "NOLONGTERM", NOTE, f"the pin is {stays.words}; if users decide how long, it is long-term",
            alternatives=alternatives, advice=[f"pass {words(flags | {'FOLL_LONGTERM'})} if it may stay for long"],
        )  # fmt: skip
        return


def unresolved(context: Context, site: Site) -> Iterator[Finding]:
    """Flags of which something is not known."""
    if site.gup and not site.resolved and not context.core(site):
        why = sorted({flag[1:] for one in site.value for flag in one.flags if flag.startswith("?")})
        yield found(context, site, "UNRESOLVED", NOTE, f"its flags are not known: {', '.join(why[:3])}")


def _known(flags: frozenset[str] | set[str]) -> bool:
    return all(flag.startswith("FOLL_") for flag in flags)
