"""What a selftest of the kernel has printed, read as results: mm's `cow`, whose tests are those of pinhold's suites.

Its names have two forms.  Until 6.15 a line "# [RUN] CASE ... with MEMORY" stands before a result that says what was
expected; later the result line has the name as well.  A test is known by its name in both.  pinhold's own KTAP is read
too, what run_kselftest.sh has indented by "# ", and the log of a console.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from pinhold.report.ktapstream import OURS, THIS_IS
from pinhold.report.remedies import STEP
from pinhold.report.results import CaseResult, TargetRun, counted
from pinhold.report.tapdocuments import DEPTH, Document, Documents, bare
from pinhold.scenario.ran import TargetInfo
from pinhold.scenario.suites import SUITES, suite
from pinhold.scenario.suites import place as place_of
from pinhold.scenario.suites.case import Test
from pinhold.scenario.titles import case_and_memory, title_of
from pinhold.scenario.verdict import Verdict
from pinhold.targets.runner import Result

_RUN = re.compile(r"(?:# )+\[RUN\] (?P<name>.*\S)\s*")
_RESULT = re.compile(DEPTH + r"(?P<word>ok|not ok) (?P<number>[0-9]{1,9})(?: -)? ?(?P<text>[^#]*)(?:# ?(?P<more>.*))?")
_NOTE = re.compile(r"(?:# )+(?P<words>.*\S)\s*")
_DIRECTIVE = re.compile(r"(?P<what>SKIP|XFAIL|TIMEOUT|ERROR|error)\b *(?P<words>.*)")
_THP = re.compile(r"(?P<kind>.*THP) \((?P<kib>[0-9]+) kB\)")
_SIZED = re.compile(r"(?P<kind>.*) \((?P<kib>[0-9]+) kB\)")
_PLACED = re.compile(r"(?:.* )?(?P<test>[a-z]+/[0-9]+) (?P<title>.*)")
_PMD = 2048
"""KiB of the THPs of pinhold's suites."""


@dataclass(frozen=True, slots=True)
class TapResult:
    """One result of a document, in the kernel's words."""

    name: str
    verdict: Verdict
    document: Document


def results(lines: Iterable[str]) -> Iterator[TapResult]:
    """In their order.  The reason for one is what stands between the line that names it and itself; in pinhold's own,
    which name it in the result's line, the last line before that, but for the step that would help."""
    name, notes, documents, ours = "", list[str](), Documents(), False
    for line in map(bare, lines):
        if match := _RUN.fullmatch(line):
            name, notes = match["name"], []
        elif match := _RESULT.fullmatch(line):
            told = (match["text"] or "").strip()
            verdict = _verdict(
                match["word"] == "ok", told, (match["more"] or "").strip(), name, notes[-1:] if ours else notes
            )
            document = documents.result(match["depth"], int(match["number"]))
            yield TapResult(name or told or (match["more"] or "").strip(), verdict, document)
            name, notes = "", []
        elif documents.says(line):
            continue
        elif match := _NOTE.fullmatch(line):
            ours = ours or match["words"].startswith(OURS)
            if not match["words"].startswith((f"{STEP} ", THIS_IS)):
                notes.append(match["words"])


def _verdict(ok: bool, told: str, more: str, name: str, notes: Sequence[str]) -> Verdict:
    directive = _DIRECTIVE.match(more)
    words = (directive["words"] if directive else "") or told
    reason = "; ".join([*notes, *([words] if words not in ("", name or told) else [])]) or None
    match (directive["what"] if directive else ""), ok:
        case "SKIP", _:
            return Verdict("skipped", reason=reason)
        case "XFAIL", _:
            return Verdict("xfail", reason=reason)
        case "TIMEOUT", _:
            return Verdict("livelock", reason=reason)
        case (("ERROR" | "error"), _):
            return Verdict("error", reason=reason)
        case _, True:
            return Verdict("held")
        case _:
            return Verdict("violated", reason=reason)


@cache
def _tests() -> dict[str, tuple[str, Test]]:
    """Each title, with the name and the test of the first suite that has it."""
    found: dict[str, tuple[str, Test]] = {}
    for chosen in SUITES:
        for test in suite(chosen).tests:
            found.setdefault(test.scenario.title, (f"{chosen}/{test.number}", test))
    return found


def known_as(name: str) -> tuple[str, Test] | None:
    """The test of pinhold's suites that a selftest calls so; a THP has the size of a PMD, whether or not it is said.
    Where pinhold's own KTAP has several suites, the name says which."""
    if (placed := _PLACED.fullmatch(name)) and (own := place_of(placed["test"])):
        test = suite(own[0]).test(own[1])
        return (placed["test"], test) if placed["title"] == test.scenario.title else None
    case, memory = case_and_memory(name)
    if (sized := _THP.fullmatch(memory)) and int(sized["kib"]) == _PMD:
        name = title_of(case, sized["kind"])
    return _tests().get(name)


@dataclass(frozen=True, slots=True)
class Selftest:
    """run: the tests that are pinhold's, too; alone: the names of those that are not; early: that it has not all the
    results that it planned, in words."""

    run: TargetRun
    alone: tuple[str, ...]
    early: str | None = None


def selftest(lines: Iterable[str], called: str) -> Selftest:
    """A document as a run on a target of that name.  A test that is there twice counts once, as it came last."""
    found: dict[str, CaseResult] = {}
    alone: dict[str, None] = {}
    documents: dict[str, Document] = {}
    for told in results(lines):
        if known := known_as(told.name):
            name, test = known
            verdict = told.verdict
            if verdict.kind == "xfail" and name.startswith("seed/"):  # the seed's own time did not know xfail
                verdict = Verdict("violated", reason=verdict.reason)
            result = Result(called, test.scenario, verdict)
            found[name] = CaseResult(test.number, name, test.result_text, result)
            documents[name] = told.document
        else:
            alone[told.name] = None
    early = dict.fromkeys(filter(None, (document.early() for document in dict.fromkeys(documents.values()))))
    run = TargetRun(TargetInfo(called, "", ""), tuple(found.values()))
    return Selftest(run, tuple(alone), "; ".join(early) or None)


def grouped(names: Sequence[str]) -> Iterator[str]:
    """Names of tests in few words: of each kind of memory the sizes and how many tests; names that have none as they
    are."""
    sizes: dict[str, dict[int, None]] = {}
    counts: Counter[str] = Counter()
    plain: list[str] = []
    for name in names:
        memory = case_and_memory(name)[1]
        sized = _SIZED.fullmatch(memory)
        kind = sized["kind"] if sized else memory
        if not kind:
            plain.append(name)
            continue
        counts[kind] += 1
        if sized:
            sizes.setdefault(kind, {})[int(sized["kib"])] = None
    for kind, count in counts.items():
        listed = ", ".join(map(str, sorted(sizes.get(kind, ()))))
        yield f"{kind}{f' of {listed} kB' if listed else ''}: {counted(count, 'test')}"
    yield from plain
