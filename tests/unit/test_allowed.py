"""Outcomes that nobody decides: any of those that the specification allows agrees, and the result says which it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from pinhold.conform.allowed import ACTIVATED, CAME_BACK, COPIED, DRAINED, FREED, HELD, ISOLATED, LET_GO, MOVED, ROTATED
from pinhold.conform.differ import Compared, Run, compared, judged, not_momentary
from pinhold.mm.file import folio_mark_dirty
from pinhold.mm.folio import folio_get, folio_put
from pinhold.scenario import steps as s
from pinhold.scenario.compare import FRESH
from pinhold.scenario.observation import Observation, PageView
from pinhold.scenario.parse import parse
from pinhold.targets.base import Outcome
from pinhold.targets.model.calls import COLLAPSE_OF_FILES
from pinhold.targets.model.session import ModelSession
from pinhold.targets.model.sight import mapped_folio, swapped_page
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.runner import Result, StepRecord, run_scenario

OLD, NEW = ModelTarget("5.10"), ModelTarget("6.12")
REUSED = """scenario a write fault copies what it finds in the LRU batch
observe
map      P x anon
map      P y anon
write    P x 1
mprotect P x read
mprotect P x rw
read     P y
write    P x 2
"""
LAST = 6
TWO = "scenario x\nobserve\nmap P x anon pages 2\nwrite P x 1\nvmsplice P x[1] as p\nwrite P x[0] 2\n"


def drained_before(*places: int) -> Run:
    """A kernel whose LRU batch others drain before these steps."""

    def run(scenario: s.Scenario) -> Result:
        steps: list[s.Step] = []
        for index, step in enumerate(scenario.steps):
            steps += [s.Drain(), step] if index in places else [step]
        result = run_scenario(OLD, replace(scenario, steps=tuple(steps)))
        return replace(result, steps=tuple(r for r in result.steps if not isinstance(r.step, s.Drain)))

    return run


def showing(change: Callable[[int, PageView], PageView]) -> Run:
    """A kernel that shows other pages than the model: by the number of the observation."""

    def run(scenario: s.Scenario) -> Result:
        result = run_scenario(NEW, scenario)

        def seen(index: int, observation: Observation | None) -> Observation | None:
            return observation and replace(observation, pages=tuple(change(index, v) for v in observation.pages))

        steps = [replace(r, observation=seen(i, r.observation)) for i, r in enumerate(result.steps)]
        return replace(result, steps=tuple(steps))

    return run


def test_what_the_specification_lacks_ends_the_comparison() -> None:
    """A kernel does what the model cannot: what came before is compared, and the step is left out, with the reason."""
    lacking = "scenario x\nobserve\nmap P x memfd pages 512\nmadvise P x {}\nwrite P x 1\n"
    scenario = parse(lacking.format("collapse"))

    def run(_: s.Scenario) -> Result:
        result = run_scenario(NEW, parse(lacking.format("hugepage")))
        return replace(result, steps=tuple(map(_did, result.steps, scenario.steps)))

    found = compared(run, NEW, scenario)
    assert (found.left_out, found.trouble, found.difference) == (((scenario.steps[1], COLLAPSE_OF_FILES),), "", None)
    assert found.values and len(found.told) == 1


def _did(record: StepRecord, step: s.Step) -> StepRecord:
    return replace(record, step=step)


def moves(page: int, index: int, byte: int | None = None) -> Compared:
    """TWO on a kernel that moves a page."""
    return compared(moving(page, index, byte), NEW, parse(TWO))


def moving(page: int, index: int, byte: int | None = None) -> Run:
    """A kernel that gives the page another frame in one step, and another byte, if one is given."""

    def change(at: int, view: PageView) -> PageView:
        if view.page != page or at < index:
            return view
        return replace(view, frame=90, byte=view.byte if byte is None or at > index else byte)

    return showing(change)


def test_the_model_alone_drains_nothing() -> None:
    """A kernel that does as the model does first is settled by no other outcome."""
    found = compared(drained_before(), OLD, parse(REUSED))
    assert (found.difference, dict(found.settled)) == (None, {})


def test_a_batch_that_others_drained_is_allowed_and_told() -> None:
    """Right before the step that shows it, or some steps earlier."""
    for place in (LAST, LAST - 2):
        found = compared(drained_before(place), OLD, parse(REUSED))
        assert found.difference is None
        assert found.settled[DRAINED] == 1
        assert len(found.told) == LAST + 1


def test_after_a_drained_batch_what_follows_is_compared_with_that() -> None:
    """The way that the kernel took is gone on, and a difference behind it is told."""

    def run(scenario: s.Scenario) -> Result:
        result = drained_before(LAST)(scenario)
        *others, last = result.steps
        assert last.observation is not None
        pages = tuple(replace(view, byte=9) for view in last.observation.pages)
        return replace(result, steps=(*others, replace(last, observation=replace(last.observation, pages=pages))))

    text = REUSED + "read P x\n"
    assert compared(drained_before(LAST), OLD, parse(text)).difference is None
    found = compared(run, OLD, parse(text))
    assert found.difference is not None
    assert (found.difference.index, found.difference.field) == (LAST + 1, "byte")


def test_batches_that_others_drained_twice_are_counted_twice() -> None:
    """Each time that it shows."""
    text = REUSED + "map P z anon\nwrite P z 1\nmprotect P z read\nmprotect P z rw\nwrite P z 2\n"
    found = compared(drained_before(LAST, LAST + 5), OLD, parse(text))
    assert found.difference is None
    assert dict(found.settled) == {DRAINED: 2}


def drained_within(place: int, pages: int, touched: int | None = None) -> Run:
    """A kernel whose LRU batch others fill in the midst of a write, after so many of its pages.  touched: a page of x
    that the last step copies all the same."""

    def run(scenario: s.Scenario) -> Result:
        steps, whole = list(scenario.steps), scenario.steps[place]
        assert isinstance(whole, s.Write | s.Poke)
        name = whole.range.region
        halves = [replace(whole, range=s.Range(name, 0, pages)), replace(whole, range=s.Range(name, pages, None))]
        steps[place : place + 1] = [halves[0], s.Drain(), halves[1]]
        done = list(run_scenario(OLD, replace(scenario, steps=tuple(steps), watch=(s.Range("x"),))).steps)
        del done[place : place + 2]
        records = [replace(record, index=i, step=scenario.steps[i]) for i, record in enumerate(done)]
        last = records[-1].observation
        assert last is not None
        shown = tuple(replace(view, frame=90) if view.page == touched else view for view in last.pages)
        records[-1] = replace(records[-1], observation=replace(last, pages=shown))
        return replace(run_scenario(OLD, scenario), steps=tuple(records))

    return run


SIX = """scenario a batch that is full in the midst of a write
watch x
observe
map      P x anon pages 6
write    P x 1
mprotect P x read
mprotect P x rw
write    P x 2
"""


@pytest.mark.parametrize("pages", [1, 3, 5])
def test_a_batch_that_others_filled_in_the_midst_of_a_step(pages: int) -> None:
    """What the step had put into it until then is on the LRU, and the rest is copied by the next write."""
    found = compared(drained_within(1, pages), OLD, parse(SIX))
    assert found.difference is None
    assert dict(found.settled) == {DRAINED: pages}


def test_two_chances_may_show_in_one_step() -> None:
    """The batch was drained in the midst of a forced write, and one of its pages, which GUP has touched, is copied."""
    text = SIX.replace("write    P x 1", "poke     P x 1")
    found = compared(drained_within(1, 3, touched=1), OLD, parse(text))
    assert found.difference is None
    assert dict(found.settled) == {DRAINED: 2, ACTIVATED: 1}


@pytest.mark.parametrize(("text", "found"), [("write P x 2\n", {ROTATED: 3}), ("read P x\nwrite P x 2\n", {})])
def test_a_page_that_was_written_to_swap_may_stay_in_the_swap_cache(text: str, found: dict[str, int]) -> None:
    """As the batch of pages to rotate has a reference to it when a write wants it back; a read leaves it there."""
    model = ModelTarget("6.12", {"swap": 1}).counting()
    scenario = parse(f"scenario x\nobserve\nmap P x anon\nwrite P x 1\nswapout P x\n{text}")

    def opened(session: ModelSession) -> None:
        do = session.do

        def rotates(action: s.Action) -> Outcome:
            page = (
                swapped_page(session.m, 0, session.names.span("P", s.Range("x"))[1])
                if session.names.regions["P"]
                else None
            )
            if page is None:
                return do(action)
            folio_get(session.m, page)
            outcome = do(action)
            folio_put(session.m, page)
            return outcome

        session.do = rotates  # type: ignore[method-assign]

    got = compared(lambda scenario: run_scenario(model, scenario, on_open=opened), model, scenario)
    assert got.difference is None
    assert dict(got.settled) == found


@pytest.mark.parametrize(
    ("release", "pages", "pin", "dirty", "explained"),
    [
        ("5.10", 2, "write longterm user vfio", 1, True),
        ("5.10", 2, "write longterm user vfio", 0, False),
        ("5.10", 2, "write longterm", 1, False),
        ("6.1", 2, "write longterm user vfio", 1, False),
        ("6.1", 1, "write longterm user vfio", 0, False),
        ("6.1", 513, "write longterm user vfio", 512, True),
        ("6.1", 514, "write longterm user vfio", 513, False),
    ],
)
def test_a_page_that_vfio_pinned_twice_is_dirty(
    release: str, pages: int, pin: str, dirty: int, explained: bool
) -> None:
    """Where it pins page by page, and not the first; where it has a batch for the last alone.  What comes later is
    compared with that."""
    model = ModelTarget(release).counting()
    scenario = parse(f"scenario x\nobserve\nmap P x anon pages {pages}\npin P x as p {pin}\nread P x\n")

    def opened(session: ModelSession) -> None:
        do = session.do

        def marks(action: s.Action) -> Outcome:
            outcome = do(action)
            if isinstance(action, s.Pin):
                folio = mapped_folio(session.m, 0, session.names.span("P", s.Range("x"))[1] + dirty)
                assert folio is not None
                folio_mark_dirty(session.m, folio)
            return outcome

        session.do = marks  # type: ignore[method-assign]

    got = compared(lambda scenario: run_scenario(model, scenario, on_open=opened), model, scenario)
    assert (got.difference is None) == explained
    assert dict(got.settled) == ({LET_GO: 1} if explained else {})


def test_a_page_that_madv_free_marked_may_be_in_a_batch_that_is_not_full() -> None:
    """Fresh pages fill another: a child's write copies what its parent's pins did not drain.  Without MADV_FREE it is a
    difference."""
    model = ModelTarget("6.18")
    text = "scenario x\nobserve\nmap P a anon pages 11\nwrite P a 1\n{}fork P C\nio_uring P a as p\nwrite C a 1\n"

    def found(more: str) -> Compared:
        scenario = parse(text.format(more))
        result = run_scenario(model, scenario)
        *others, last = result.steps
        assert last.observation is not None
        pages = tuple(replace(v, frame=90) if (v.proc, v.page) == ("C", 10) else v for v in last.observation.pages)
        shown = replace(last, observation=replace(last.observation, pages=pages))
        return judged(replace(result, steps=(*others, shown)), model, scenario)

    freed = found("madvise P a free\n")
    assert freed.difference is None
    assert dict(freed.settled) == {FREED: 1}
    assert found("madvise P a dontfork\nmadvise P a dofork\n").difference is not None
    assert found("madvise P a free\ndrain\n").difference is not None


def test_a_page_that_ksm_copied_in_vain_may_come_back() -> None:
    """x[1], which cannot be merged with x[0], that is pinned; and no other page, nor in another step."""
    text = "scenario x\nobserve\nmap P x anon pages 2\nwrite P x 1\npin P x[0] as p write longterm\nksm P x with P x\n"

    def kept(_: int, view: PageView) -> PageView:
        return replace(view, frame=view.page)

    found = compared(showing(kept), NEW, parse(text))
    assert found.difference is None
    assert dict(found.settled) == {CAME_BACK: 1}


def test_a_page_that_ksm_copied_in_vain_may_be_copied_once_more() -> None:
    """Before it is merged, when that can be; a page that KSM has not copied has the frame that it had."""
    begin = "scenario x\nobserve\nmap P x anon pages 2\nwrite P x 1\n{}ksm P x with P x\n"
    pinned = begin.format("pin P x[0] as p write longterm\n") + "unpin p\nksm P x with P x\n"
    for text, allowed in ((pinned, True), (begin.format(""), False)):
        last = len(parse(text).steps) - 1

        def fresh(index: int, view: PageView, last: int = last) -> PageView:
            return replace(view, frame=90) if index == last else view

        found = compared(showing(fresh), NEW, parse(text))
        assert (found.difference is None) is allowed
        assert dict(found.settled) == ({COPIED: 1} if allowed else {})


def undrained(text: str, model: ModelTarget = OLD) -> Compared:
    """The scenario on a kernel whose `drain` leaves every page in a batch."""

    def run(scenario: s.Scenario) -> Result:
        idle = s.Read("P", s.Range("idle", 0, None))
        steps = tuple(idle if isinstance(step, s.Drain) else step for step in scenario.steps)
        result = run_scenario(model, replace(scenario, steps=steps))
        records = [replace(r, step=step) for r, step in zip(result.steps, scenario.steps, strict=True)]
        return replace(result, steps=tuple(records))

    begin = "scenario x\nobserve\nmap P idle anon\nread P idle\nmap P x anon pages 2\nwrite P x 1\nmprotect P x read\n"
    return compared(run, model, parse(f"{begin}drain\n{text}"))


def test_a_page_that_forced_writes_touched_may_be_copied_by_the_next_write() -> None:
    """By any write; where no forced write has touched it, it is a difference."""
    found = undrained("poke P x 2\npoke P x[0] 3\nmprotect P x rw\nwrite P x 4\n")
    assert found.difference is None
    assert dict(found.settled) == {ACTIVATED: 2}
    found = undrained("poke P x[1] 2\nmprotect P x rw\nwrite P x 4\n")
    assert found.difference is not None
    assert (found.difference.field, found.difference.where) == ("frame", "P x[0]")


GUP = "map P x anon\nprocess_vm_writev P x 0\nprocess_vm_writev P x 1\nfork P C\nprocess_vm_readv P x as p\n"


def copied(before: str, last: str) -> Compared:
    """What a kernel does in which the last step copies the page of C."""
    text = f"scenario x\nobserve\n{before}{last}"
    count = len(parse(text).steps) - 1

    def fresh(index: int, view: PageView) -> PageView:
        return replace(view, frame=90) if index == count and view.proc == last.split()[1] else view

    return compared(showing(fresh), NEW, parse(text))


def test_a_page_that_gup_touched_may_be_copied_where_one_reference_more_makes_a_write_copy_it() -> None:
    """In a child, too, whose last mapping it is, and where it has been moved; not without GUP, and never an exclusive
    page: the defect of a lost pin is a difference."""
    for before, last in ((GUP, "write C x 1\n"), (f"{GUP}mremap C x to y\n", "write C y 1\n")):
        found = copied(before, last)
        assert found.difference is None
        assert dict(found.settled) == {ACTIVATED: 1}
    assert copied("map P x anon\nwrite P x 1\nfork P C\nwrite P x 2\n", "write C x 1\n").difference is not None
    assert copied("map P x anon\nwrite P x 1\npin P x as p longterm\n", "write P x 2\n").difference is not None


def held_in(text: str, errno: int = 16, step_type: type[s.Action] = s.SwapOut) -> Compared:
    """The scenario on a kernel whose `swapout`, or madvise, finds nothing on the LRU."""

    def run(scenario: s.Scenario) -> Result:
        steps = tuple(s.Drain() if isinstance(step, step_type) else step for step in scenario.steps)
        result = run_scenario(NEW, replace(scenario, steps=steps))
        records = []
        for record, step in zip(result.steps, scenario.steps, strict=True):
            shown = record.observation
            if isinstance(step, step_type):
                assert shown is not None
                shown = replace(shown, errno=errno)
            records.append(replace(record, step=step, observation=shown))
        return replace(result, steps=tuple(records))

    return compared(run, NEW, parse(f"scenario x\nobserve\n{text}"))


def test_a_page_in_another_cpus_batch_stays_where_it_is() -> None:
    """It is passed over, and stays mapped; not with another errno, and not a page that the process brought itself."""
    text = "map P x memfd pages 2\nread P x\nswapout P x\nread P x\n"
    found = held_in(text)
    assert found.difference is None
    assert found.settled[HELD] == 3  # the errno, and two pages
    assert held_in(text, errno=22).difference is not None
    assert held_in("map P x anon\nwrite P x 1\nswapout P x\n").difference is not None
    assert held_in("map P x anon\npoke P x 1 via ptrace\nswapout P x\n").difference is None


def test_what_nobody_watches_may_have_stayed_with_it() -> None:
    """The page between the two that are watched is in the batch, too: what maps it later maps it once more."""
    text = "map P x memfd pages 3\nread P x\nswapout P x\nmap P y of x\nread P y[1]\nread P y[0]\n"
    found = held_in(text)
    assert found.difference is None
    assert found.settled[HELD] >= 3
    assert any(view.mapcount == 2 for view in found.told[-1].observation.pages)  # type: ignore[union-attr]


IN_VAIN = "map P x anon\nmap P y anon\nwrite P x 1\nwrite P y 1\nvmsplice P x as p\nksm P x with P y\n"
"""y's page is made a KSM page in vain, and copied."""


@pytest.mark.parametrize("last", ["swapout P y", "mremap P y to z\nswapout P z", "fork P C\nunmap P y\nswapout C y"])
def test_what_ksmd_has_copied_may_be_in_its_batch(last: str) -> None:
    """Wherever it is mapped; not what was never copied."""
    found = held_in(f"{IN_VAIN}{last}\n")
    assert found.difference is None
    assert found.settled[HELD] == 2  # the errno, and the page
    apart = "map P x anon\nmap P y anon\nwrite P x 1\nwrite P y 2\nksm P x with P y\n"
    assert held_in(f"{apart}{last}\n").difference is not None


def test_what_ksmd_has_copied_may_be_copied_by_a_write_for_its_batchs_sake() -> None:
    """As it is after a fork; while it is exclusive the write takes it, whoever has a reference."""
    found = copied(f"{IN_VAIN}unmap P x\nfork P C\nexit C\n", "write P y 2\n")
    assert found.difference is None
    assert dict(found.settled) == {HELD: 1}
    assert copied(f"{IN_VAIN}unmap P x\n", "write P y 2\n").difference is not None


def test_what_is_off_the_lru_is_not_collapsed() -> None:
    """MADV_COLLAPSE leaves the PMD alone and says EAGAIN; with another errno that is a difference."""
    text = "map P x thp\nwrite P x 1\nswapout P x[1]\nwrite P x[1] 2\nmadvise P x collapse\n"
    assert run_scenario(NEW, parse(f"scenario x\n{text}")).observations[-1].errno == 0
    found = held_in(text, errno=11, step_type=s.Madvise)
    assert found.difference is None
    assert found.settled[ISOLATED] > 0
    assert held_in(text, errno=22, step_type=s.Madvise).difference is not None


def test_no_outcome_of_a_batch_explains_another_errno() -> None:
    """What fits no outcome is a difference, as it is without them."""

    def run(scenario: s.Scenario) -> Result:
        result = run_scenario(OLD, scenario)
        *others, last = result.steps
        assert last.observation is not None
        return replace(result, steps=(*others, replace(last, observation=replace(last.observation, errno=12))))

    found = compared(run, OLD, parse(REUSED))
    assert found.difference is not None
    assert found.difference.field == "errno"
    assert dict(found.settled) == {}


def test_a_page_that_the_step_is_not_about_may_have_moved() -> None:
    """While nobody holds it: x[0] at the step that pins x[1]."""
    found = moves(0, 2)
    assert found.difference is None
    assert dict(found.settled) == {MOVED: 1}


def test_what_moves_in_every_run_was_not_moved_by_others() -> None:
    """Nobody moves the same page in the same step again and again: then it is a difference; once, it is none."""
    scenario = parse(TWO)
    moved, still = moving(0, 2)(scenario), run_scenario(NEW, scenario)
    once = judged(moved, NEW, scenario)
    assert dict(once.settled) == {MOVED: 1}
    assert not_momentary(lambda _: still, NEW, moved, once) is once
    always = not_momentary(moving(0, 2), NEW, moved, once)
    assert always.difference is not None
    assert (always.difference.where, always.difference.left, dict(always.settled)) == ("P x[0]", FRESH, {})


def test_a_page_that_is_held_stays() -> None:
    """x[1], in the middle of what a pipe holds, while another page is written."""
    text = "scenario x\nobserve\nmap P x anon pages 3\nmap P y anon\nwrite P x 1\nread P x[1]\n"

    def change(index: int, view: PageView) -> PageView:
        return replace(view, frame=90) if (view.region, view.page) == ("x", 1) and index >= 5 else view

    assert compared(showing(change), NEW, parse(f"{text}read P y\nwrite P y 2\n")).difference is None
    found = compared(showing(change), NEW, parse(f"{text}vmsplice P x as p\nwrite P y 2\n"))
    assert found.difference is not None
    assert (found.difference.where, found.difference.left) == ("P x[1]", FRESH)


def test_a_page_that_the_step_is_about_is_a_difference() -> None:
    """A write that copies where the model reuses is what is looked for."""
    assert moves(0, 3).difference is not None


def test_a_page_that_moved_has_everything_else_as_before() -> None:
    """Another frame and another byte are no move."""
    assert moves(0, 2, byte=5).difference is not None


def test_a_new_frame_on_the_model_is_never_a_move() -> None:
    """The kernel keeps the frame that the model copies: x[0], shared with a child, is written."""
    text = "scenario x\nobserve\nmap P x anon\nwrite P x 1\nfork P C\nwrite P x 2\n"

    def kept(index: int, view: PageView) -> PageView:
        return replace(view, frame=0) if view.proc == "P" else view

    assert compared(showing(kept), NEW, parse(text)).difference is not None
