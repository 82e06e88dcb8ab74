"""The runner: what each answer of a target makes of the verdict, on a target that answers as told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from pinhold.scenario.errnos import errno_name
from pinhold.scenario.observation import MIXED, Observation, PageView, Run
from pinhold.scenario.parse import parse
from pinhold.scenario.printer import format_step
from pinhold.scenario.ran import Decision, TargetInfo
from pinhold.scenario.steps import Action, Range, Scenario
from pinhold.scenario.verdict import Verdict
from pinhold.targets.base import Broken, CannotDo, Crashed, LeftBehind, Livelock, Outcome, Session, Unavailable
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.runner import Result, StepRecord, recorded_step, run_scenario


@dataclass
class Scripted:
    """A target and its session.  answers: by the text of the step, an Outcome or what to raise."""

    answers: dict[str, Any] = field(default_factory=dict)
    memory: Sequence[Run] | Exception = (Run(0, 1, 0),)
    pin: Sequence[Run] | Exception = (Run(0, 1, 0),)
    states: Sequence[tuple[int, int, str]] | Exception = ((0, 1, "present"),)
    pages: tuple[PageView, ...] = ()
    opening: Exception | None = None
    closing: Exception | None = None
    name: str = "scripted"
    what: str = "scripted"
    done: list[str] = field(default_factory=list)

    def info(self) -> TargetInfo:
        return TargetInfo(self.name, "6.2", "6.2", {}, {})

    @contextmanager
    def open(self, scenario: Scenario) -> Iterator[Session]:
        if self.opening:
            raise self.opening
        yield self
        self.done.append("closed")
        if self.closing:
            raise self.closing

    def do(self, action: Action) -> Outcome:
        self.done.append(format_step(action))
        return _given(self.answers.get(format_step(action), Outcome()))

    def pools(self) -> Mapping[str, str]:
        return {"hugetlb_2M": "3 free of 16"}

    def observe(self) -> Observation:
        return Observation(99, self.pages)

    def contents(self, proc: str, range: Range) -> Sequence[Run]:
        return _given(self.memory)

    def pin_contents(self, pin: str) -> Sequence[Run]:
        return _given(self.pin)

    def page_state(self, proc: str, range: Range) -> Sequence[tuple[int, int, str]]:
        return _given(self.states)


def _given(answer: Any) -> Any:
    if isinstance(answer, Exception):
        raise answer
    return answer


def _run(*lines: str, **script: Any) -> Result:
    return run_scenario(Scripted(**script), parse("\n".join(["scenario t", *lines])))


def _verdict(*lines: str, **script: Any) -> Verdict:
    return _run(*lines, **script).verdict


MAP = "map P x anon"
EXPECT = 'expect P x 0x00 "It holds"'


def test_an_expectation_that_holds() -> None:
    """Every step is done in order and recorded with its observation; the verdict names the expectation."""
    result = _run(MAP, "read P x", EXPECT)
    assert result.verdict == Verdict("held", "It holds", None, 2)
    assert [(r.index, r.check) for r in result.steps] == [(0, None), (1, None), (2, "held")]
    assert [o.errno for o in result.observations] == [0, 0, None]
    assert result.target == "scripted"
    assert result.seconds > 0


def test_an_expectation_that_does_not_hold_ends_the_run() -> None:
    """The verdict gives the text, the page and both bytes, and later steps are not done."""
    target = Scripted(memory=(Run(0, 3, 0), Run(3, 1, 0xFF)))
    result = run_scenario(target, parse(f"scenario t\nmap P x anon pages 4\n{EXPECT}\nread P x"))
    assert result.verdict == Verdict("violated", "It holds", "P x[3] is 0xff, expected 0x00", 1)
    assert target.done == ["map P x anon pages 4", "closed"]
    assert result.steps[-1].check == "violated"


@pytest.mark.parametrize(
    ("memory", "verdict"),
    [
        ((Run(0, 1, None),), Verdict("unknown", "It holds", "P x[0] could not be read", 1)),
        ((Run(0, 1, 0), Run(1, 1, None)), Verdict("unknown", "It holds", "P x[1] could not be read", 1)),
        ((Run(0, 1, None), Run(1, 1, 7)), Verdict("violated", "It holds", "P x[1] is 0x07, expected 0x00", 1)),
        ((Run(0, 1, MIXED),), Verdict("violated", "It holds", "P x[0] is mixed, expected 0x00", 1)),
        ((), Verdict("unknown", "It holds", "P x: no page could be read", 1)),
        (CannotDo("no way to look"), Verdict("unknown", "It holds", "no way to look", 1)),
    ],
)
def test_what_cannot_be_read_is_never_held(memory: Any, verdict: Verdict) -> None:
    """Unread pages make it unknown, unless another page shows that it is violated."""
    assert _verdict(MAP, EXPECT, memory=memory) == verdict


@pytest.mark.parametrize(("target", "byte"), [("model:6.12", "0x11"), ("model:6.1", "0x22")])
def test_memory_that_a_process_has_not_touched_is_unknown_with_advice(target: str, byte: str) -> None:
    """Looking changes nothing, so a page that is not mapped has no byte; the sentence names the step that helps."""
    steps = ("map P x memfd shared", "write P x 0x11", "fork P C", f"expect C x {byte}")
    verdict = run_scenario(ModelTarget(target.removeprefix("model:")), parse("\n".join(("scenario t", *steps)))).verdict
    assert verdict.kind == "unknown"
    assert verdict.reason is not None and "put a step 'read C x' before this one" in verdict.reason
    steps = (*steps[:3], "read C x", "expect C x 0x11")
    assert run_scenario(ModelTarget("6.12"), parse("\n".join(("scenario t", *steps)))).verdict.kind == "held"


def test_an_unknown_expectation_does_not_end_the_run() -> None:
    """A later violation is still found, and a later success does not cover it."""
    lines = (MAP, "pin P x as p", EXPECT, 'expect p 0x00 "And this"')
    assert _verdict(*lines, memory=(Run(0, 1, None),), pin=(Run(0, 1, 1),)).kind == "violated"
    assert _verdict(*lines, memory=(Run(0, 1, None),)) == Verdict("unknown", "It holds", "P x[0] could not be read", 2)


def test_a_scenario_without_expectations_is_unknown() -> None:
    """Zero observations are never a pass."""
    assert _verdict(MAP, "read P x") == Verdict("unknown", None, "the scenario expects nothing")
    assert _verdict() == Verdict("unknown", None, "the scenario expects nothing")


@pytest.mark.parametrize(
    ("pin", "memory", "kind", "reason"),
    [
        ((Run(0, 4, 0),), (Run(0, 4, 0),), "held", None),
        ((Run(0, 2, 0), Run(2, 2, 1)), (Run(0, 2, 0), Run(2, 1, 1), Run(3, 1, 1)), "held", None),
        ((Run(0, 4, 0),), (Run(0, 3, 0), Run(3, 1, 5)), "violated", "the pin p holds 0x00 where P x[3] is 0x05"),
        ((Run(0, 2, 0),), (Run(0, 4, 0),), "held", None),
        ((Run(0, 4, None),), (Run(0, 4, 0),), "unknown", "pin p[0] could not be read"),
        ((Run(0, 4, 0),), (Run(0, 1, 0), Run(1, 3, None)), "unknown", "P x[1] could not be read"),
        ((Run(0, 4, MIXED),), (Run(0, 4, MIXED),), "unknown", "P x[0] could not be read"),
        ((Run(0, 4, MIXED),), (Run(0, 4, 0),), "violated", "the pin p holds mixed where P x[0] is 0x00"),
        ((), (Run(0, 4, 0),), "unknown", "pin p: no page could be read"),
        (CannotDo("vmsplice cannot be read twice"), (), "unknown", "vmsplice cannot be read twice"),
    ],
)
def test_a_pin_sees_what_the_process_sees(pin: Any, memory: Any, kind: str, reason: str | None) -> None:
    """Pages are compared side by side, however the runs are cut, up to the shorter of both."""
    lines = ("map P x anon pages 4", "pin P x as p", "expect p sees P x")
    assert _verdict(*lines, pin=pin, memory=memory) == Verdict(kind, None, reason, 2)


def test_a_pinned_part_is_compared_with_its_part() -> None:
    """The pages of a pin count from the pin, those of a range from the region."""
    lines = ("map P x anon pages 4", "pin P x[2:] as p", "expect p sees P x[2:]")
    verdict = _verdict(*lines, pin=(Run(0, 2, 0),), memory=(Run(2, 1, 0), Run(3, 1, 9)))
    assert verdict.reason == "the pin p holds 0x00 where P x[3] is 0x09"


@pytest.mark.parametrize(
    ("states", "state", "met"),
    [
        (((0, 1, "present"),), "present", True),
        (((0, 512, "huge"),), "present", True),
        (((0, 512, "huge"),), "huge", True),
        (((0, 1, "present"),), "huge", False),
        (((0, 1, "present"), (1, 1, "none")), "present", False),
        (((0, 1, "swapped"),), "swapped", True),
        (((0, 1, "none"),), "none", True),
        ((), "none", False),
    ],
)
def test_requirements(states: Any, state: str, met: bool) -> None:
    """Every page has to be in the state; a huge entry counts as present; nothing to see meets nothing."""
    verdict = _verdict(MAP, f'require P x {state} "Needs it"', EXPECT, states=states)
    assert verdict == (Verdict("held", "It holds", None, 2) if met else Verdict("skipped", None, "Needs it", 1))


def test_a_requirement_without_text_says_what_is_the_case() -> None:
    """The reason of the skip is the state of the first page that is not in it."""
    verdict = _verdict(MAP, "require P x swapped", EXPECT, states=((0, 1, "present"),))
    assert verdict == Verdict("skipped", None, "P x[0] is present, not swapped", 1)


def test_a_requirement_that_cannot_be_seen_is_not_passed_over() -> None:
    """A target that cannot see the state skips the test and says so."""
    verdict = _verdict(MAP, "require P x huge", EXPECT, states=CannotDo("no pagemap here"))
    assert verdict == Verdict("skipped", None, "no pagemap here", 1)


def _frames(left: PageView, right: PageView, relation: str) -> Verdict:
    return _verdict("map P x anon pages 2", f"expect P x[0] {relation} P x[1]", pages=(left, right))


def test_frames() -> None:
    """Frames of present pages are the same or different; what maps none violates, what is unseen is unknown."""

    def page(number: int, frame: int | None, state: str | None = "present") -> PageView:
        return PageView("P", "x", number, state, frame)

    assert _frames(page(0, 3), page(1, 3), "same").kind == "held"
    assert _frames(page(0, 3), page(1, 4), "different").kind == "held"
    assert _frames(page(0, 3), page(1, 4), "same").reason == "P x[0] and P x[1] map different frames, expected same"
    assert _frames(page(0, 3), page(1, 3), "different").reason == (
        "P x[0] and P x[1] map the same frame, expected different"
    )
    assert _frames(page(0, 3), page(1, None), "same") == Verdict(
        "unknown", None, "the frame of P x[1] cannot be seen", 1
    )
    assert _frames(page(0, None, "swapped"), page(1, 3), "different") == Verdict(
        "violated", None, "P x[0] maps no frame: it is swapped", 1
    )
    assert _frames(page(0, 3), page(5, 3), "same").kind == "unknown"


def test_an_action_that_fails_unexpectedly_violates() -> None:
    """The verdict names the step and the errno."""
    verdict = _verdict(MAP, "pin P x as p", "expect p 0x00", answers={"pin P x as p": Outcome(14)})
    assert verdict == Verdict("violated", None, "pin P x as p: EFAULT", 1)


@pytest.mark.parametrize(
    ("errno", "expected", "verdict"),
    [
        (12, "ENOMEM", Verdict("held", "So", None, 2)),
        (0, "OK", Verdict("held", "So", None, 2)),
        (0, "ENOMEM", Verdict("violated", "So", "the step before gave OK, expected ENOMEM", 2)),
        (12, "OK", Verdict("violated", "So", "the step before gave ENOMEM, expected OK", 2)),
        (999, "OK", Verdict("violated", "So", "the step before gave errno 999, expected OK", 2)),
    ],
)
def test_expected_errnos(errno: int, expected: str, verdict: Verdict) -> None:
    """An errno that is expected right after the step decides by itself."""
    answers = {"pin P x as p user vfio": Outcome(errno)}
    assert _verdict(MAP, "pin P x as p user vfio", f'expect errno {expected} "So"', answers=answers) == verdict


@pytest.mark.parametrize(
    ("failing", "later", "what"),
    [
        ("pin P x as p", "expect p 0x00", "pin p"),
        ("vmsplice P x as p", "unpin p", "pin p"),
        ("fork P C", "read C x", "process C"),
        ("map P y of x", "read P y", "region y"),
        ("mremap P x to y", "read P y", "region y"),
    ],
)
def test_what_an_expected_failure_did_not_make_cannot_be_used(failing: str, later: str, what: str) -> None:
    """A step on something that failed to come about is not put to the target."""
    target = Scripted(answers={failing: Outcome(12)})
    scenario = parse(f"scenario t\nmap P x memfd\n{failing}\nexpect errno ENOMEM\n{later}")
    assert run_scenario(target, scenario).verdict == Verdict(
        "unknown", None, f"there is no {what}: it failed with ENOMEM", 3
    )
    assert target.done == ["map P x memfd", failing, "closed"]


@pytest.mark.parametrize(
    ("line", "errno", "reason"),
    [
        ("map P y memfd", 13, "map P y memfd: this user, or a sandbox, may not do it (EACCES)"),
        ("map P y memfd", 38, "map P y memfd: this kernel, or a sandbox, has no such call (ENOSYS)"),
        ("map P y thp", 22, "map P y thp: not with such memory on this kernel (EINVAL)"),
        ("map P y hugetlb 1G", 19, "map P y hugetlb 1G: this kernel has no such memory (ENODEV)"),
        ("map P y anon", 12, "map P y anon: too little memory is free for it (ENOMEM)"),
        ("fork P C", 11, "fork P C: a limit of this user or machine is reached (EAGAIN)"),
    ],
)
def test_a_set_up_that_fails_is_skipped_whatever_is_expected(line: str, errno: int, reason: str) -> None:
    """No promise is broken by it, with an expectation of another errno neither; and what is expected decides."""
    answers = {line: Outcome(errno)}
    assert _verdict(MAP, line, EXPECT, answers=answers) == Verdict("skipped", None, reason, 1)
    assert _verdict(MAP, line, "expect errno OK", answers=answers) == Verdict("skipped", None, reason, 1)
    assert _verdict(MAP, line, "expect errno EXDEV", answers=answers) == Verdict("skipped", None, reason, 1)
    assert _verdict(MAP, line, f"expect errno {errno_name(errno)}", answers=answers).kind == "held"


def test_what_a_scenario_asks_about_decides() -> None:
    """Accounting is what such a scenario is about: ENOMEM where it expects success is a violation, and no skip."""
    line = "io_uring P x as p"
    assert _verdict(MAP, line, "expect errno OK", answers={line: Outcome(12)}).kind == "violated"
    assert _verdict(MAP, line, "expect errno OK", answers={line: Outcome(1)}).kind == "skipped"


def test_a_step_that_fails_as_nothing_explains_is_an_error() -> None:
    """The sentence names the step and the errno."""
    verdict = _verdict(MAP, "fork P C", answers={"fork P C": Outcome(9)})
    assert verdict == Verdict("error", None, "fork P C: EBADF, which this step is not known to meet", 1)


def test_a_small_machine_is_short_by_its_own_line() -> None:
    """The limit that is told is the scenario's, not the machine's that it is run on."""
    small = "small levels 2 pages 2 hugetlb 3"
    verdict = _verdict(small, "map P x hugetlb 2M", answers={"map P x hugetlb 2M": Outcome(12, "needs 4 hugepages")})
    assert verdict.kind == "skipped"
    assert verdict.reason == (
        "map P x hugetlb 2M: needs 4 hugepages (ENOMEM); this scenario's machine has what its line says: " + small
    )


@pytest.mark.parametrize(
    ("raised", "kind", "reason"),
    [
        (CannotDo("needs a read-only long-term pin"), "skipped", "needs a read-only long-term pin"),
        (Livelock("faultin_page"), "livelock", "faultin_page"),
        (Broken("refcount of folio 3"), "error", "refcount of folio 3"),
        (Crashed("BUG: at mm/gup.c"), "crashed", "BUG: at mm/gup.c"),
    ],
)
def test_what_a_step_raises_becomes_the_verdict(raised: Exception, kind: str, reason: str) -> None:
    """Each refusal and breakage of a target has its verdict, at its step; what was done before stays recorded, and the
    step, if it has no end."""
    result = _run(MAP, "read P x", EXPECT, answers={"read P x": raised})
    assert result.verdict == Verdict(kind, None, reason, 1)
    assert [r.index for r in result.steps] == ([0, 1] if kind == "livelock" else [0])


def test_a_defect_of_the_tool_is_an_error_that_says_where() -> None:
    """Any other exception is the verdict error with its type, place and message."""
    verdict = _verdict(MAP, EXPECT, answers={MAP: ZeroDivisionError("boom")})
    assert verdict.kind == "error"
    assert verdict.reason is not None
    assert verdict.reason.startswith("ZeroDivisionError in _given, line ")
    assert verdict.reason.endswith(": boom")


def test_opening_and_closing() -> None:
    """A target that cannot work here skips before the first step; one that breaks while closing is an error."""
    assert _verdict(MAP, EXPECT, opening=Unavailable("not Linux")) == Verdict("skipped", None, "not Linux", None)
    assert _verdict(MAP, EXPECT, opening=CannotDo("too large")) == Verdict("skipped", None, "too large", None)
    assert _verdict(MAP, EXPECT, closing=Broken("a child is left")).kind == "error"


def test_what_a_kernel_keeps_is_said_beside_the_verdict() -> None:
    """A scenario that may harm the kernel keeps its verdict, held or not; any other is an error."""
    left = LeftBehind("left behind by the scenario: 1 huge page")
    assert _verdict(MAP, EXPECT, closing=left) == Verdict("error", None, str(left), 1)
    harmful = 'vm_only "leaks"'
    assert _verdict(harmful, MAP, EXPECT, closing=left) == Verdict("held", "It holds", str(left), 1)
    violated = _verdict(harmful, MAP, 'expect P x 0x01 "It holds"', closing=left)
    assert violated == Verdict("violated", "It holds", f"P x[0] is 0x00, expected 0x01; {left}", 1)
    assert _verdict(harmful, MAP, EXPECT, closing=Broken("descriptor 7 is open")).kind == "error"


def test_an_interrupt_is_not_swallowed() -> None:
    """The user's interrupt ends the program, not the scenario."""

    class Interrupting(Scripted):
        def do(self, action: Action) -> Outcome:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_scenario(Interrupting(), parse(f"scenario t\n{MAP}"))


def test_steps_are_reported_as_they_are_made() -> None:
    """on_step sees each record before the next step is done, the last one before the verdict."""
    target = Scripted()
    seen: list[tuple[int, int]] = []

    def on_step(record: StepRecord) -> None:
        seen.append((record.index, len(target.done)))

    result = run_scenario(target, parse(f"scenario t\n{MAP}\nrequire P x present\nread P x\n{EXPECT}"), on_step)
    assert seen == [(0, 1), (1, 1), (2, 2), (3, 2)]
    assert [r.index for r in result.observed] == [0, 2, 3]


def test_the_pools_before_the_first_step_are_told() -> None:
    """As the session has them."""
    assert run_scenario(Scripted(), parse("scenario x\nmap P x anon\n")).pools == {"hugetlb_2M": "3 free of 16"}


def test_the_mechanisms_that_were_used_are_told() -> None:
    """The note of each pin that succeeded is the mechanism of that pin; other notes are not."""
    answers = {
        "map P x anon": Outcome(note="aligned"),
        "pin P x as p": Outcome(note="gup_test"),
        "vmsplice P x as q": Outcome(note="vmsplice"),
        "pin P x as r": Outcome(1, note="vfio"),
    }
    result = _run(MAP, "pin P x as p", "vmsplice P x as q", "pin P x as r", "expect errno EPERM", answers=answers)
    assert result.mechanisms == {"p": "gup_test", "q": "vmsplice"}


def test_records_for_the_run_file() -> None:
    """A record keeps its text, note, decisions and check; a target's description is kept whole."""
    decision = Decision("gup_must_unshare.yes", "gup_must_unshare", "gup_unshares", "84209e87c696", "breaks COW")
    answers = {"pin P x as p": Outcome(note="gup_test", decisions=(decision,))}
    records = [recorded_step(r) for r in _run(MAP, "pin P x as p", EXPECT, answers=answers).steps]
    assert [(r.index, r.step, r.note, r.check) for r in records] == [
        (0, "map P x anon", None, None),
        (1, "pin P x as p", "gup_test", None),
        (2, 'expect P x 0x00 "It holds"', None, "held"),
    ]
    assert [d.commit for d in records[1].decisions] == ["84209e87c696"]


@pytest.mark.parametrize(
    ("line", "errno", "reason"),
    [
        ("io_uring P x as p", 95, "io_uring P x as p: no pages of that kind of file can be taken so here (EOPNOTSUPP)"),
        ("pin P x as p", 12,
         "pin P x as p: needs a higher RLIMIT_MEMLOCK, or CAP_IPC_LOCK, or more free memory (ENOMEM)"),
        ("madvise P x dontneed", 22, "madvise P x dontneed: not with such memory on this kernel (EINVAL)"),
        ("swapout P x", 16, "swapout P x: pages stayed in memory (EBUSY)"),
        ("mremap P x to y", 22, "mremap P x to y: not with such memory on this kernel (EINVAL)"),
    ],
)  # fmt: skip
def test_what_a_kernel_does_not_offer_is_skipped(line: str, errno: int, reason: str) -> None:
    """A refusal that says nothing about the memory decides nothing, unless it is what the scenario expects."""
    assert _verdict(MAP, line, EXPECT, answers={line: Outcome(errno)}) == Verdict("skipped", None, reason, 1)
    assert _verdict(MAP, line, f"expect errno {errno_name(errno)}", answers={line: Outcome(errno)}).kind == "held"


def test_a_known_violation_is_xfail() -> None:
    """The scenario's own words are the reason; an errno that nobody expected is no known violation."""
    known = 'xfail "known and open"'
    assert _verdict(known, MAP, 'expect P x 0x01 "text"') == Verdict("xfail", "text", "known and open", 1)
    assert _verdict(known, MAP, EXPECT).kind == "held"
    assert _verdict(known, MAP, "write P x 0x00", EXPECT, answers={"write P x 0x00": Outcome(14)}).kind == "violated"
