"""Scenarios with a schedule: operations taken apart into their atomic steps, on a small machine."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pinhold.mm.releases import releases
from pinhold.scenario.parse import parse
from pinhold.scenario.steps import Scenario
from pinhold.scenario.verdict import Verdict
from pinhold.targets.base import CannotDo
from pinhold.targets.live.target import LiveTarget
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.runner import Result, run_scenario
from strategies import SMALL, scenarios

RACE = """\
map     P x anon
write   P x 0x01
start   parent fork P C
advance parent steps 2
start   driver pin P x as p write longterm fast
advance driver steps 7
settle
write   P x 0x02
"""


def result(text: str, release: str = "6.2", switches: Mapping[str, str] = {}, small: str = "") -> Result:
    target = ModelTarget(release, switches=switches)
    return run_scenario(target, parse(f"scenario t\nsmall {small}\n{text}"))


def verdict(text: str, release: str = "6.2", switches: Mapping[str, str] = {}, small: str = "") -> Verdict:
    return result(text, release, switches, small).verdict


def test_a_race_comes_out_where_the_rule_lets_it() -> None:
    """A pin taken between two steps of fork is lost without the sequence count, and is no pin of that page with it."""
    asked = RACE + "expect p sees P x\n"
    assert verdict(asked, switches={"write_protect_seq": "no"}).kind == "violated"
    assert verdict(asked, "5.10").kind == "violated"
    assert verdict(asked).kind == "held"


def test_sound_is_what_the_properties_say() -> None:
    """`expect sound` is violated by what no byte shows yet, and names it."""
    lost = RACE.replace("write   P x 0x02\n", "start b write P x 1\nadvance b steps 4\n") + "expect sound\n"
    found = verdict(lost, switches={"write_protect_seq": "no"})
    assert (found.kind, found.reason) == ("violated", "a long-term pin no longer holds the page that its owner sees")
    assert verdict(lost).kind == "held"


def test_operations_take_the_steps_that_they_are_given() -> None:
    """A started write has written nothing; advanced by enough steps it has."""
    text = "map P x anon\nstart a write P x 0x07\n{}\nread P x\nexpect P x 0x{:02x}\n"
    assert verdict(text.format("drain", 0)).kind == "held"
    assert verdict(text.format("advance a", 0)).kind == "held"
    assert verdict(text.format("advance a steps 50", 7)).kind == "held"
    assert verdict(text.format("settle", 7)).kind == "held"


def test_a_task_that_waits_or_has_ended_lets_its_turn_pass() -> None:
    """A fork cannot begin while a writer holds mmap_lock for reading; the writer's end lets it on."""
    text = (
        "map P x anon\nstart a write P x 1\nadvance a steps 2\nstart b fork P C\nadvance b steps 40\n{}expect sound\n"
    )
    assert "C x" not in str(result(text.format("")).observations[-1])
    ended = result(text.format("advance a steps 40\nadvance b steps 40\nexpect C x 0x01\n"))
    assert ended.verdict.kind == "held"


def test_a_task_comes_to_its_end_before_it_starts_something_else() -> None:
    """What it was in the middle of is done, though nobody advanced it; others go on where it waits for them."""
    alone = "map P x anon\nstart a write P x 0x05\nstart a read P x\nexpect P x 0x05\n"
    assert verdict(alone).kind == "held"
    waits = "map P x anon\nstart w write P x 5\nadvance w steps 2\nstart a fork P C\nstart a read P x\n"
    assert verdict(waits + "require C x present\nexpect sound\n").kind == "held"


def test_an_operation_that_fails_is_told_where_it_ends() -> None:
    """A pin of memory that may not be written ends with EFAULT, in the step that ends it."""
    text = "map P x anon read\nstart a pin P x as p write\nadvance a\n{}\n"
    assert verdict(text.format("advance a steps 40\nexpect errno EFAULT")).kind == "held"
    assert verdict(text.format("settle\nexpect errno EFAULT")).kind == "held"
    failed = verdict(text.format("advance a steps 40"))
    assert (failed.kind, failed.reason) == ("violated", "advance a steps 40: EFAULT")


def test_what_has_not_ended_has_made_nothing() -> None:
    """A child, and a pin, are there when the operation that makes them has ended; before that nothing can use them."""
    child = verdict("map P x anon\nstart a fork P C\nadvance a\nread C x\nexpect sound\n")
    assert child.kind == "skipped" and child.reason == "there is no process C when the schedule comes here"
    pin = verdict("map P x anon\nstart a pin P x as p\nadvance a\nstart b unpin p\nexpect sound\n")
    assert pin.kind == "skipped" and pin.reason == "p holds no pages"


def test_what_the_specification_lacks_is_refused_in_a_task_too() -> None:
    """A pin mechanism of a kernel's, UFFDIO_CONTINUE on hugetlb and MADV_COLLAPSE of a file are skipped with the reason
    of the whole step."""
    lacking = {
        "map P x anon\n{}pin P x as p via gup_test\n": "the model has no pin mechanism gup_test",
        "map P x memfd_hugetlb 2M\n{}uffdio_continue P x\n": "UFFDIO_CONTINUE for shmem",
        "map P x memfd pages 4\n{}madvise P x collapse\n": "MADV_COLLAPSE for anonymous memory",
    }
    for text, reason in lacking.items():
        for start in ("", "start a "):
            found = verdict(text.format(start), small="levels 2 hugetlb 2 thps 1 pages 10")
            assert found.kind == "skipped" and found.reason is not None and reason in found.reason


def test_every_operation_can_be_started() -> None:
    """Each kind of operation, started and settled, does what it does as a whole step."""
    operations = {
        "unmap P x": "require P x none",
        "mprotect P x read": "expect P x 0x01",
        "madvise P x dontneed": "require P x none",
        "swapout P x": "require P x swapped",
        "clear_softdirty P": "expect P x 0x01",
        "numa_hint P x": "read P x\nexpect P x 0x01",
        "writeback P f": "expect P f 0x02",
        "poke P x 0x09": "expect P x 0x09",
        "vmsplice P x as v": "expect v sees P x",
        "io_uring P x as v": "expect v sees P x",
    }
    for operation, afterwards in operations.items():
        before = "map P x anon\nmap P f tmpfile shared\nwrite P x 1\nwrite P f 2\n"
        text = f"{before}start a {operation}\nsettle\n{afterwards}\nexpect sound\n"
        found = verdict(text, "7.3", small="levels 2 swap 3 vmas 4")
        assert found.kind == "held", (operation, found.reason)


def test_an_exit_and_a_merge_can_be_started() -> None:
    """The child is gone when its exit has ended; two pages with the same content become one."""
    merged = """\
map P x anon
map P y anon
write P x 3
write P y 3
madvise P x mergeable
madvise P y mergeable
start k ksm P x with P y
settle
expect P x same P y
fork P C
start c exit C
settle
expect sound
"""
    assert verdict(merged, "7.3").kind == "held"
    assert {page.proc for page in result(merged, "7.3").observations[-1].pages} == {"P"}


def test_chance_is_the_schedules() -> None:
    """Which free frame a fault gets is what `chance` says."""
    text = "map P x anon\nstart a write P x 1\nadvance a steps 9 chance {}\nexpect sound\n"
    with ModelTarget("6.2").open(parse(f"scenario t\nsmall\n{text.format(0)}")) as session:
        frames = len(session.m.page_content)
    seen = set()
    for chance in range(frames - 1):
        scenario = parse(f"scenario t\nsmall\n{text.format(chance)}")
        with ModelTarget("6.2").open(scenario) as session:
            for step in scenario.steps[:3]:
                session.do(step)  # type: ignore[arg-type]
            seen.add(next(page for page in range(frames) if session.m.page_mapcount[page]))
    assert seen == set(range(1, frames))


def test_the_line_says_how_the_kernel_is_configured() -> None:
    """Swap is there where there are slots, THPs where there are frames for them, unless the line says otherwise."""
    thp = "map P x thp\nwrite P x 1\nrequire P x huge\nexpect sound\n"
    assert verdict(thp, small="levels 2 thps 1").kind == "held"
    assert verdict(thp, small="levels 2 thps 1 thp 0").kind == "skipped"
    swap = "map P x anon\nwrite P x 1\nmadvise P x pageout\nrequire P x swapped\nexpect sound\n"
    assert verdict(swap, small="swap 2").kind == "held"
    assert verdict(swap).kind == "skipped"


def test_more_than_the_small_machine_holds_is_said() -> None:
    """Address space has a bound, and the sentence says which words make it larger."""
    found = verdict("map P x anon pages 50\nread P x\nexpect sound\n")
    assert found.kind == "skipped"
    assert found.reason is not None and found.reason.endswith("of which levels and bits in the small line make more")


def test_a_real_kernel_keeps_no_schedule() -> None:
    """The target live refuses it before it starts anything, and says who can."""
    scenario = parse(f"scenario t\nsmall\n{RACE}expect sound\n")
    with pytest.raises(CannotDo, match="only a model"), LiveTarget().open(scenario):
        pass


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(scenarios(max_steps=25, small=SMALL), st.sampled_from(releases()))
def test_no_scenario_breaks_a_small_machine(scenario: Scenario, release: str) -> None:
    """Whatever a text states, the specification stays within its bounds and its invariants."""
    found = run_scenario(ModelTarget(release, checked=True, properties=True), scenario).verdict
    assert found.kind != "error", found.reason


@pytest.mark.parametrize("step", ["map C y anon", "memlock C 0", "capability C ipc_lock off"])
def test_a_process_that_is_not_there_yet_can_do_nothing(step: str) -> None:
    """A child whose fork has begun and not ended has no name: such a step is skipped, and no error of the tool."""
    found = run_scenario(
        ModelTarget("6.2"), parse(f"scenario t\nsmall\nmap P x anon\nstart t fork P C\n{step}")
    ).verdict
    assert found.kind == "skipped" and "there is no process C" in (found.reason or "")


def test_a_fork_that_has_begun_keeps_the_place_of_its_child() -> None:
    """Whoever forks meanwhile gets another one: two children at one place would be each other's page tables."""
    text = (
        "start t fork P C\nfork P D\nadvance t steps 1\nsettle\nmap C x anon\nwrite C x 1\nmap D y anon\nexpect sound\n"
    )
    assert verdict(text, small="levels 2 bits 1").kind == "held"
