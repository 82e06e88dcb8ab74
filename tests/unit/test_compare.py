"""Comparing two runs: fields, frames as a relation, and the words for a difference."""

from dataclasses import fields, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from pinhold.scenario.compare import compare, first_difference
from pinhold.scenario.observation import MIXED, Observation, PageView, PinView


def _see(*frames: int | None, pin: int | None = None, errno: int | None = 0) -> Observation:
    """P x[0], P x[1], ... on these frames; pin p[0] on that one."""
    pages = tuple(PageView("P", "x", page, frame=frame) for page, frame in enumerate(frames))
    return Observation(errno, pages, () if pin is None else (PinView("p", 0, frame=pin),))


def _one(**fields: object) -> list[Observation]:
    return [Observation(0, (PageView("P", "x", 0, **fields),))]  # type: ignore[arg-type]


def test_equal_runs_do_not_differ() -> None:
    """A run is equal to itself, and the comparison says how many fields it saw."""
    run = _one(state="present", frame=3, kind="anon", exclusive=True, mapcount=1, byte=255)  # and the errno
    assert compare(run, run).difference is None
    assert compare(run, run).compared == 7


def test_nothing_seen_is_nothing_compared() -> None:
    """Where one side sees nothing there is no difference, and nothing that could count as agreement."""
    blind = [Observation(None, (PageView("P", "x", 0),))]
    comparison = compare(blind, _one(state="present", frame=3, byte=0))
    assert comparison.difference is None
    assert comparison.compared == 0
    assert compare([Observation(None)], _one(state="present")).compared == 0


def test_each_field_is_compared() -> None:
    """A different value in any field is found and said in words; of frames and folios two targets share no names."""
    words = {
        "state": ({"state": "present"}, {"state": "swapped"}, "present", "swapped"),
        "kind": ({"kind": "anon"}, {"kind": "file"}, "anon", "file"),
        "exclusive": ({"exclusive": True}, {"exclusive": False}, "yes", "no"),
        "mapcount": ({"mapcount": 1}, {"mapcount": 2}, "1", "2"),
        "byte": ({"byte": 255}, {"byte": MIXED}, "0xff", "mixed bytes"),
        "level": ({"level": "pmd"}, {"level": "pte"}, "pmd", "pte"),
        **{
            mark: ({mark: False}, {mark: True}, "no", "yes")
            for mark in ("anon", "writable", "dirty", "soft_dirty", "uffd_wp")
        },
    }
    named = {f.name for f in fields(PageView)} - {"proc", "region", "page", "frame", "folio", "offset", "counts"}
    assert set(words) == named
    for field, (left, right, left_words, right_words) in words.items():
        difference = first_difference(_one(**left), _one(**right))
        assert difference is not None
        assert (difference.index, difference.where, difference.field) == (0, "P x[0]", field)
        assert (difference.left, difference.right) == (left_words, right_words)


def test_whose_a_pin_is_and_how_it_was_taken_are_compared() -> None:
    """Owner, range and flags of a pin are fields like those of a page."""

    def pin(**fields: str) -> list[Observation]:
        return [Observation(0, (), (PinView("p", 0, **fields),))]  # type: ignore[arg-type]

    for field, one, other in (
        ("owner", "P", "C"),
        ("range", "x[0]", "x[1]"),
        ("flags", "FOLL_PIN", "FOLL_WRITE|FOLL_PIN"),
    ):
        difference = first_difference(pin(**{field: one}), pin(**{field: other}))
        assert difference is not None
        assert (difference.where, difference.field, difference.left, difference.right) == (
            "pin p[0]",
            field,
            one,
            other,
        )


def test_a_difference_tells_the_kind_of_the_page() -> None:
    """So that it can be named by step, field and kind; None where neither side knows it, and of the step itself."""
    found = first_difference(_one(kind="file", writable=True), _one(writable=False))
    assert found is not None and (found.field, found.kind) == ("writable", "file")
    found = first_difference(_one(frame=1, kind="ksm") * 2, [*_one(frame=1), *_one(frame=2)])
    assert found is not None and (found.field, found.kind) == ("frame", "ksm")
    errno = first_difference([_see(errno=12)], [_see(errno=0)])
    assert errno is not None and errno.kind is None


def test_errno_and_the_words_of_a_difference() -> None:
    """A difference is one sentence with the step, whose page, which field and both values."""
    difference = first_difference([_see(), _see(errno=12)], [_see(), _see(errno=0)])
    assert difference is not None
    assert difference.words("model:6.1", "live", "pin P x as p") == (
        "after pin P x as p, errno: ENOMEM on model:6.1, OK on live"
    )
    byte = first_difference(_one(byte=0), _one(byte=255))
    assert str(byte) == "in observation 1, P x[0]: byte: 0x00 on left, 0xff on right"


def test_the_errno_of_an_expectation_is_passed_over() -> None:
    """None, the errno of an expectation, differs from nothing."""
    assert first_difference([_see(errno=None)], [_see(errno=22)]) is None


def test_frames_are_compared_by_bijection() -> None:
    """Other names for the same sharing are equal; shared on one side only is a difference."""
    assert first_difference([_see(1, 2, 1)], [_see(7, 5, 7)]) is None
    difference = first_difference([_see(1, 2, 1)], [_see(7, 5, 6)])
    assert difference is not None
    assert (difference.where, difference.left, difference.right) == (
        "P x[2]",
        "the frame of P x[0]",
        "another frame than P x[0]",
    )
    other_way = first_difference([_see(1, 2)], [_see(7, 7)])
    assert other_way is not None
    assert (other_way.where, other_way.left, other_way.right) == (
        "P x[1]",
        "another frame than P x[0]",
        "the frame of P x[0]",
    )


def test_a_frame_that_one_side_cannot_see_is_passed_over() -> None:
    """The relation is that of the views which both sides see."""
    assert first_difference([_see(1, None, 1)], [_see(7, 6, 7)]) is None
    assert first_difference([_see(1, 1)], [_see(7)]) is None


def test_pins_take_part() -> None:
    """A pin's frame belongs to the relation, and is passed over where one side cannot see it."""
    difference = first_difference([_see(1, pin=1)], [_see(1, pin=2)])
    assert difference is not None
    assert (difference.where, difference.left) == ("pin p[0]", "the frame of P x[0]")
    unseen = Observation(0, _see(1).pages, (PinView("p", 0),))
    assert first_difference([_see(1, pin=1)], [unseen]) is None


def test_a_pin_that_one_side_alone_holds_is_a_difference() -> None:
    """Whichever side it is, and however little is seen of the pin; a pin that both hold counts as compared."""
    for one, other, held in (([_see(1, pin=1)], [_see(1)], "yes"), ([_see(1)], [_see(1, pin=1)], "no")):
        difference = first_difference(one, other)
        assert difference is not None
        assert (difference.where, difference.field, difference.left) == ("pin p", "held", held)
    blind = [Observation(None, (), (PinView("p", 0),))]
    assert compare(blind, blind).compared == 1
    difference = first_difference(blind, [Observation(None)])
    assert difference is not None
    assert difference.words("one", "other") == "in observation 1, pin p: held: yes on one, no on other"


def test_a_page_keeps_its_frame_on_both_sides_or_on_neither() -> None:
    """Copied on one side and reused on the other is a difference, though each observation alone is equal."""
    assert first_difference([_see(1), _see(2)], [_see(5), _see(6)]) is None
    difference = first_difference([_see(1), _see(1)], [_see(5), _see(6)])
    assert difference is not None
    assert (difference.index, difference.where) == (1, "P x[0]")
    assert (difference.left, difference.right) == ("the frame of the step before", "a new frame")


def test_who_keeps_the_frame_of_a_broken_share() -> None:
    """After a copy the two pages differ on both sides, but the old frame stays with another page."""
    difference = first_difference([_see(1, 1), _see(2, 1)], [_see(1, 1), _see(1, 2)])
    assert difference is not None
    assert (difference.where, difference.left, difference.right) == (
        "P x[0]",
        "a new frame",
        "the frame of the step before",
    )


def test_a_freed_frame_may_come_back_elsewhere() -> None:
    """x[0] is copied and its frame freed, and the copy of x[1] gets that very frame on one side: no difference."""
    assert first_difference([_see(1, 2), _see(3, 4)], [_see(1, 2), _see(3, 1)]) is None
    assert first_difference([_see(1, 2, 3), _see(4, 5, 1)], [_see(1, 2, 3), _see(4, 1, 2)]) is None


def test_a_page_that_was_gone_in_between_may_come_back_on_any_frame() -> None:
    """Only from one observation to the next is a frame kept: reclaimed and back is a new start."""
    gone = Observation(0, (PageView("P", "x", 0, state="none"),))
    assert first_difference([_see(1), gone, _see(1)], [_see(1), gone, _see(2)]) is None


def test_a_shorter_run_differs_where_it_ends() -> None:
    """Observations that only one side made are a difference."""
    difference = first_difference([_see(1)], [_see(1), _see(1)])
    assert difference is not None
    assert (difference.index, difference.field) == (1, "length")
    assert difference.words("model:6.1", "live") == "model:6.1 made 1 observation, live made 2 observations"


_PAGES = st.lists(st.integers(0, 3), min_size=1, max_size=4)


@settings(deadline=None)
@given(st.lists(_PAGES, max_size=4), st.permutations(range(10, 14)))
def test_renaming_frames_is_no_difference(run: list[list[int]], names: list[int]) -> None:
    """Any bijection of frame names over a whole run is passed over."""
    renamed = [_see(*(names[frame] for frame in frames)) for frames in run]
    assert first_difference([_see(*frames) for frames in run], renamed) is None


@settings(deadline=None)
@given(_PAGES, _PAGES)
def test_within_an_observation_the_relation_is_exact(left: list[int], right: list[int]) -> None:
    """Two observations agree if and only if the same pairs of views share a frame on both sides."""
    count = min(len(left), len(right))
    sharing = [
        {(i, j) for i in range(count) for j in range(i) if side[i] == side[j]} for side in (left[:count], right[:count])
    ]
    differs = first_difference([_see(*left[:count])], [_see(*right[:count])]) is not None
    assert differs == (sharing[0] != sharing[1])


def test_what_is_told_again_by_the_same_view_is_compared_again() -> None:
    """As many values are counted as for equal views, and a value that differs is found beside views that stay."""
    first, second = (PageView("P", "x", page, "present", page, "anon", byte=1) for page in (0, 1))
    same = [Observation(0, (first, second))] * 3
    fresh = [Observation(0, (replace(first), replace(second))) for _ in range(3)]
    assert compare(same, same) == compare(same, fresh) == compare(fresh, fresh)
    other = [*same[:2], Observation(0, (first, replace(second, byte=2)))]
    found = first_difference(same, other)
    assert found is not None and (found.index, found.where, found.field) == (2, "P x[1]", "byte")
    moved = [*same[:2], Observation(0, (first, replace(second, frame=7)))]
    kept = first_difference(same, moved)
    assert kept is not None and (kept.index, kept.where, kept.field) == (2, "P x[1]", "frame")
