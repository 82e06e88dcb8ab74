"""`ask`: the cells agree with the suites, the advice and the causes with what running them gives."""

from functools import cache

import pytest

from pinhold.ask.answer import Answer, answer
from pinhold.ask.cell import EVENTS, FAILING, RELIABLE, SNAPSHOT, STALE, UNTIL, cell, refusal, scenario
from pinhold.ask.flags import FLAGS, Request, UnknownFlag, parse_flags
from pinhold.ask.memlock import PAGES, UNTOUCHED
from pinhold.ask.memory import MEMORY, Memory
from pinhold.mm import flags as k
from pinhold.mm.releases import releases
from pinhold.mm.rules import BY_NAME
from pinhold.mm.state import X86_64
from pinhold.scenario.parse import parse
from pinhold.scenario.printer import format_scenario
from pinhold.scenario.steps import Pin
from pinhold.scenario.suites import suite
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.runner import run_scenario

LONGTERM = parse_flags("FOLL_LONGTERM")

SEED = {
    "private anonymous: written": "R/O {} pin on R/O-mapped exclusive page ... with base page",
    "private anonymous: written, shared with a child": "R/O {} pin on R/O-mapped shared page ... with base page",
    "private anonymous: written, child has exited": "R/O {} pin on R/O-mapped previously-shared page"
    " ... with base page",
    "private anonymous: only read: shared zeropage": "R/O longterm {} pin ... with shared zeropage",
    "private anonymous, THP: written": "R/O {} pin on R/O-mapped exclusive page ... with THP",
    "private anonymous, THP: written, shared with a child": "R/O {} pin on R/O-mapped shared page ... with THP",
    "private anonymous, THP: written, child has exited": "R/O {} pin on R/O-mapped previously-shared page ... with THP",
    "private anonymous, THP: only read: huge zeropage": "R/O longterm {} pin ... with huge zeropage",
    "private anonymous, hugetlb 2M: written": "R/O {} pin on R/O-mapped exclusive page ... with hugetlb (2048 kB)",
    "private anonymous, hugetlb 2M: written, shared with a child": "R/O {} pin on R/O-mapped shared page"
    " ... with hugetlb (2048 kB)",
    "private anonymous, hugetlb 2M: written, child has exited": "R/O {} pin on R/O-mapped previously-shared page"
    " ... with hugetlb (2048 kB)",
    "private file mapping (MAP_PRIVATE): memfd or tmpfs, only read": "R/O longterm {} pin ... with memfd",
    "private file mapping (MAP_PRIVATE): file on disk, only read": "R/O longterm {} pin ... with tmpfile",
    "private file mapping (MAP_PRIVATE): hugetlb 2M file, only read": "R/O longterm {} pin"
    " ... with memfd hugetlb (2048 kB)",
}
"""The rows of which the seed's suite has a test, and its title."""

PATCHED = {
    "only read: shared zeropage",
    "never touched",
    "only read: huge zeropage",
    "memfd or tmpfs, only read",
    "file on disk, only read",
    "hugetlb 2M file, only read",
    "file on disk, PROT_READ",
}
"""The rows that the seed's patch makes reliable."""


def full(memory: Memory) -> str:
    """Group and name."""
    return f"{memory.group}: {memory.name}"


@cache
def answered(text: str) -> Answer:
    """The answer on all releases."""
    return answer(parse_flags(text), releases())


@cache
def seed_verdict(title: str, release: str) -> str:
    """The verdict of the seed's test of that title."""
    test = next(test for test in suite("seed").tests if test.scenario.title == title)
    return run_scenario(ModelTarget(release), test.scenario).verdict.kind


@pytest.mark.parametrize("release", ["6.1", "6.2"])
@pytest.mark.parametrize("fast", [False, True], ids=["slow", "fast"])
def test_each_cell_has_the_verdict_of_the_seeds_test(release: str, fast: bool) -> None:
    """Where the seed tests the same memory, `reliable` is where its test holds and `stale` where it does not."""
    rows = [memory for memory in MEMORY if full(memory) in SEED]
    assert len(rows) == len(SEED)
    expected = {full(m): seed_verdict(SEED[full(m)].format("GUP-fast" if fast else "GUP"), release) for m in rows}
    found = {full(m): cell(LONGTERM, m, release, fast=fast).word for m in rows}
    assert found == {name: {"held": RELIABLE, "violated": STALE}[kind] for name, kind in expected.items()}


def test_the_patch_makes_seven_rows_reliable() -> None:
    """From 6.1 to 6.2 the private memory that is not anonymous turns from stale to reliable, and nothing else."""
    old, new = (answered("FOLL_LONGTERM").columns[release] for release in ("6.1", "6.2"))
    turned = [memory for memory in MEMORY if old[memory].word != new[memory].word]
    assert {memory.name for memory in turned} == PATCHED
    assert len(turned) == 7
    assert {old[memory].word for memory in turned} == {STALE}
    assert {cell.word for cell in new.values()} == {RELIABLE}


def test_turning_the_patch_back_brings_the_older_column_back() -> None:
    """6.2 with gup_unshares as in 6.1 answers as 6.1 does, cell by cell."""
    older = BY_NAME["gup_unshares"].names.index("anon")
    mutated = {memory: cell(LONGTERM, memory, "6.2", rules={"gup_unshares": older}).word for memory in MEMORY}
    assert mutated == {memory: found.word for memory, found in answered("FOLL_LONGTERM").columns["6.1"].items()}


@pytest.mark.parametrize("rule", ["anon_exclusive", "fork_copies_pinned", "fork_copies_pinned_hugetlb"])
def test_other_switches_matter_too(rule: str) -> None:
    """Each switch that guards a pin changes some cell of 6.2 when it is turned off."""
    words = [cell(LONGTERM, memory, "6.2", rules={rule: 0}).word for memory in MEMORY]
    assert any(word in FAILING for word in words)


def test_the_cause_of_the_patchs_rows_is_its_switch() -> None:
    """Between 6.1 and 6.2 gup_unshares alone made each difference."""
    told = [change for change in answered("FOLL_LONGTERM").changes if change.new == "6.2"]
    assert len(told) == 7
    assert {tuple(cause.rule.name for cause in change.causes) for change in told} == {("gup_unshares",)}
    assert not any(change.together for change in told)
    assert {(cause.before, cause.after) for change in told for cause in change.causes} == {("anon", "cow_longterm")}


def test_no_difference_stays_unexplained() -> None:
    """Every cell that differs from its neighbour's has a cause, and turning all of it back gives the older word."""
    for text in ("FOLL_LONGTERM", "FOLL_LONGTERM|FOLL_WRITE"):
        found = answered(text)
        for change in found.changes:
            assert change.causes, change
            back = {x.rule.name: x.rule.names.index(x.before) for x in change.causes[: None if change.together else 1]}
            assert cell(found.request, change.memory, change.new, rules=back).word == change.before


def test_what_is_advised_is_reliable() -> None:
    """On 6.1 FOLL_LONGTERM|FOLL_WRITE|FOLL_FORCE mends every row, and a read-only shared mapping is said to be lost."""
    found = next(advice for advice in answered("FOLL_LONGTERM").advice if advice.release == "6.1")
    assert found.use == parse_flags("FOLL_LONGTERM|FOLL_WRITE|FOLL_FORCE")
    assert {memory.name for memory in found.cured} == PATCHED
    assert found.left == ()
    assert [(full(memory), word) for memory, word in found.lost] == [
        ("shared mapping (MAP_SHARED): file on disk, PROT_READ", "EFAULT")
    ]
    assert {cell(found.use, memory, "6.1").word for memory in found.cured} == {RELIABLE}


def test_where_nothing_fails_nothing_is_advised() -> None:
    """From 6.2 on FOLL_LONGTERM alone is enough."""
    for found in answered("FOLL_LONGTERM").advice:
        assert (found.failing == ()) == (found.release in ("6.2", "6.12", "6.18", "7.3"))
        assert found.use is None or found.failing


def test_dontfork_helps_where_fork_harms() -> None:
    """On 5.10 a pinned hugetlb page is lost by fork(), unless the process advised MADV_DONTFORK."""
    writing = parse_flags("FOLL_LONGTERM|FOLL_WRITE")
    memory = next(m for m in MEMORY if full(m) == "private anonymous, hugetlb 2M: written")
    assert cell(writing, memory, "5.10").word == UNTIL["fork"]
    assert cell(writing, memory, "5.10", dontfork=True).word == RELIABLE


def test_only_a_short_pin_is_a_snapshot() -> None:
    """The same memory that a long-term pin holds stale is a snapshot to a short one; what follows writes is neither."""
    short, longterm = answered("0"), answered("FOLL_LONGTERM")
    words = {cell.word for column in longterm.columns.values() for cell in column.values()}
    assert STALE in words
    assert SNAPSHOT not in words
    column = short.columns["6.18"]
    assert {memory.name for memory, found in column.items() if found.word == SNAPSHOT} == PATCHED
    assert {found.word for memory, found in column.items() if memory.name not in PATCHED} == {RELIABLE}


def test_get_user_pages_does_not_survive_fork() -> None:
    """References instead of pins are what fork() does not respect, on any release."""
    memory = MEMORY[0]
    assert {answered("FOLL_GET").columns[release][memory].word for release in releases()} == {UNTIL["fork"]}


def test_a_writable_long_term_pin_of_a_file_is_refused_since_6_5() -> None:
    """FOLL_LONGTERM|FOLL_WRITE of a shared file on disk gives EFAULT on 6.12, and the reason is the file system."""
    found = answered("FOLL_LONGTERM|FOLL_WRITE")
    memory = next(m for m in MEMORY if full(m) == "shared mapping (MAP_SHARED): file on disk")
    assert [found.columns[r][memory].word for r in ("6.2", "6.12")] == [RELIABLE, "EFAULT"]
    assert "tracks dirtying" in found.refused["6.12"][memory].sentence
    read_only = next(m for m in MEMORY if m.name == "file on disk, PROT_READ")
    assert "FOLL_WRITE needs a writable mapping" in found.refused["6.12"][read_only].sentence


def test_the_memlock_cost_of_the_zero_page() -> None:
    """The seed's note 3: VFIO is charged nothing for untouched pages up to 6.1, and for each since 6.2."""
    charges = answered("FOLL_LONGTERM").charges[UNTOUCHED.name]
    assert {r: charges["vfio"][r].pages for r in ("6.1", "6.2")} == {"6.1": 0, "6.2": PAGES}
    assert {r: charges["vfio"][r].fresh for r in ("6.1", "6.2")} == {"6.1": 0, "6.2": PAGES}
    assert {charges[user][r].pages for user in ("io_uring", "rdma") for r in releases()} == {PAGES}
    assert answered("0").charges == {}


@pytest.mark.parametrize(
    ("text", "old", "new", "why"),
    [
        ("FOLL_GET|FOLL_LONGTERM", "EINVAL", "EINVAL", "FOLL_LONGTERM is for pins: use pin_user_pages()"),
        ("FOLL_PIN|FOLL_GET", "EINVAL", "0 pages", "FOLL_GET and FOLL_PIN exclude each other"),
        ("FOLL_REMOTE|FOLL_WRITE", None, "0 pages", "FOLL_REMOTE is internal to GUP"),
        ("FOLL_LONGTERM|FOLL_PCI_P2PDMA", None, "0 pages", "FOLL_LONGTERM|FOLL_PCI_P2PDMA cannot be passed together"),
    ],
)
def test_flags_that_are_refused(text: str, old: str | None, new: str, why: str) -> None:
    """The entry point's answer on 6.2 and 6.12, with the part of the flags that is to blame; the walk never begins."""
    found = answer(parse_flags(text), ("6.2", "6.12"))
    assert found.invalid["6.12"].word == new
    assert why in found.invalid["6.12"].sentence
    assert (found.invalid["6.2"].word if "6.2" in found.invalid else None) == old
    assert {cell.word for cell in found.columns["6.12"].values()} == {new}
    assert all(cell.scenario is None for cell in found.columns["6.12"].values())


def test_a_flag_that_a_release_does_not_have() -> None:
    """FOLL_NOFAULT came with 5.16: 5.10 says so, and 6.1 refuses what would have to be faulted in."""
    found = answer(parse_flags("FOLL_NOFAULT"), ("5.10", "6.1"))
    assert {cell.word for cell in found.columns["5.10"].values()} == {"no such flag"}
    assert "FOLL_NOFAULT (since 5.16)" in found.invalid["5.10"].sentence
    untouched = next(memory for memory in MEMORY if memory.name == "never touched")
    assert found.columns["6.1"][untouched].word == "EFAULT"
    assert "FOLL_NOFAULT forbids" in found.refused["6.1"][untouched].sentence
    assert found.columns["6.1"][MEMORY[0]].word == RELIABLE


def test_what_the_fast_entry_point_does_not_know() -> None:
    """pin_user_pages_fast() refuses FOLL_ANON, which pin_user_pages() takes."""
    found = answer(parse_flags("FOLL_ANON"), ("6.18",))
    assert found.invalid == {}
    assert found.fast_invalid["6.18"].word == "EINVAL"
    assert "does not know FOLL_ANON" in found.fast_invalid["6.18"].sentence


def test_a_smaller_huge_page_gives_the_same_answers() -> None:
    """Huge pages of 32 base pages stand for those of 512: every cell is the same with x86-64's."""
    for text, release in (("FOLL_LONGTERM", "5.10"), ("FOLL_LONGTERM|FOLL_WRITE", "5.10"), ("FOLL_LONGTERM", "6.2")):
        request = parse_flags(text)
        column = answered(text).columns[release]
        assert {m: cell(request, m, release, geometry=X86_64).word for m in MEMORY} == {
            m: found.word for m, found in column.items()
        }


@pytest.mark.parametrize("release", ["6.1", "6.2"])
def test_the_scenario_of_a_cell_can_be_run_as_it_is(release: str) -> None:
    """On the ordinary target the printed scenario comes to the verdict that the cell says."""
    for memory, found in answered("FOLL_LONGTERM").columns[release].items():
        assert found.scenario is not None
        result = run_scenario(ModelTarget(release), parse(format_scenario(found.scenario)))
        assert (result.verdict.kind == "held") == (found.word == RELIABLE), full(memory)


def test_every_scenario_pins_as_asked() -> None:
    """Each row and event has a scenario whose pin has the flags that the language can say."""
    for memory in MEMORY:
        for event in EVENTS:
            made = scenario(memory, event, k.FOLL_WRITE | k.FOLL_LONGTERM, True)
            (pin,) = [step for step in made.steps if isinstance(step, Pin)]
            assert (pin.write, pin.longterm, pin.force, pin.fast) == (True, True, False, True)
    assert len({full(memory) for memory in MEMORY}) == len(MEMORY)


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("FOLL_LONGTERM", "pin_user_pages(FOLL_LONGTERM)"),
        ("FOLL_FORCE | FOLL_WRITE|FOLL_LONGTERM", "pin_user_pages(FOLL_LONGTERM|FOLL_WRITE|FOLL_FORCE)"),
        ("0", "pin_user_pages(0)"),
        ("FOLL_PIN", "pin_user_pages(0)"),
        ("FOLL_GET", "get_user_pages(0)"),
        ("FOLL_GET,FOLL_WRITE", "get_user_pages(FOLL_WRITE)"),
        ("FOLL_GET|FOLL_PIN", "pin_user_pages(FOLL_GET)"),
    ],
)
def test_flags_stand_for_a_call(text: str, call: str) -> None:
    """FOLL_GET alone stands for get_user_pages(), all else for pin_user_pages()."""
    assert parse_flags(text).call == call


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("FOLL_LONGTREM", "did you mean FOLL_LONGTERM?"),
        ("FOLL_WRITE|LONGTERM", "did you mean FOLL_LONGTERM?"),
        ("foll_write", "did you mean FOLL_WRITE?"),
        ("FOLL_XYZZY", "choose from FOLL_LONGTERM, FOLL_WRITE"),
        ("|", "for example FOLL_LONGTERM, or 0 for none"),
    ],
)
def test_an_unknown_flag_is_named_with_the_nearest(text: str, end: str) -> None:
    """One line: what is wrong, and what was probably meant."""
    with pytest.raises(UnknownFlag) as error:
        parse_flags(text)
    assert end in str(error.value)
    assert "\n" not in str(error.value)


def test_every_flag_can_be_asked_about() -> None:
    """No single flag, passed to either entry point, breaks the tool; each is accepted or refused with a word."""
    for flag in FLAGS:
        for pin in (True, False):
            request = Request(pin, flag.value)
            words = {cell(request, memory, "6.18").word for memory in MEMORY[::6]}
            assert words <= {RELIABLE, *FAILING, "EFAULT", "EINVAL", "EOPNOTSUPP", "0 pages"}, (flag.name, words)
            assert (refusal(request, "6.18") is None) == (words.isdisjoint({"EINVAL", "0 pages"}))


def test_a_part_of_a_huge_page_may_cost_the_whole() -> None:
    """io_uring charges a folio once and whole, VFIO and RDMA what they are asked for: one page of a THP is 512 or 1."""
    charges = answered("FOLL_LONGTERM").charges
    thp, hugetlb = charges["one 4 KiB page of a THP"], charges["one hugetlb page of 2 MiB"]
    assert {user: {thp[user][r].pages for r in releases()} for user in thp} == {
        "vfio": {1},
        "io_uring": {512},
        "rdma": {1},
    }
    assert {charge.pages for by_release in hugetlb.values() for charge in by_release.values()} == {512}
