"""`pinhold audit` asks the callers: what they pass decides conditions, and who cannot be seen is unknown."""

from __future__ import annotations

from pathlib import Path

import pytest

from audited import flags, only, reading

TAKE = """
static int take(struct region *r, long at, %s write)
{
    unsigned int gup = FOLL_LONGTERM;

    if (write)
        gup |= FOLL_WRITE;
    return pin_user_pages_fast(at, 4, gup, r->pages);
}
"""
BOTH = {"FOLL_LONGTERM", "FOLL_LONGTERM|FOLL_WRITE"}


@pytest.mark.parametrize(
    ("kind", "callers", "meant"),
    [
        ("bool", "int a(struct region *r) { return take(r, 0, true); }", {"FOLL_LONGTERM|FOLL_WRITE"}),
        ("bool", "int a(struct region *r) { return take(r, 0, false); }", {"FOLL_LONGTERM"}),
        ("int", "int a(struct region *r) { return take(r, 0, 1); }", {"FOLL_LONGTERM|FOLL_WRITE"}),
        ("int", "int a(struct region *r) { return take(r, 0, 0); }", {"FOLL_LONGTERM"}),
        ("bool", "int a(struct region *r) { take(r, 0, true); return take(r, 0, r->w); }", BOTH),
        ("int", "int a(struct region *r) { int w = 1; return take(r, 0, w); }", {"FOLL_LONGTERM|FOLL_WRITE"}),
        ("int", "int a(struct region *r, int w) { if (!w) return 1; return take(r, 0, w); }",
         {"FOLL_LONGTERM|FOLL_WRITE"}),
        ("int", "int a(struct region *r, int w) { if (w == 2) return 1; return take(r, 0, w); }", BOTH),
    ],
)  # fmt: skip
def test_a_truth_value_is_what_the_callers_pass(tmp_path: Path, kind: str, callers: str, meant: set[str]) -> None:
    """true and 1 decide `if (write)`, false and 0 the other way; what nobody knows leaves both."""
    assert flags(only(reading(tmp_path, driver=TAKE % kind + callers))) == meant


def test_each_caller_has_its_own_alternative(tmp_path: Path) -> None:
    """One passes true and another false, through a function between: the way of each is told."""
    text = (
        TAKE % "bool"
        + """
    static int between(struct region *r, bool out) { return take(r, 8, !out); }
    int reads(struct region *r) { return between(r, true); }
    int writes(struct region *r) { return between(r, false); }
    """
    )
    site = only(reading(tmp_path, driver=text))
    assert {(one.words, one.path[0].function) for one in site.value} == {
        ("FOLL_LONGTERM", "reads"),
        ("FOLL_LONGTERM|FOLL_WRITE", "writes"),
    }


@pytest.mark.parametrize(
    ("way", "meant"),
    [
        ("DMA_FROM_DEVICE", {"FOLL_WRITE"}),
        ("DMA_TO_DEVICE", {"0"}),
        ("r->way", {"FOLL_WRITE", "0"}),
    ],
)
def test_a_direction_is_compared(tmp_path: Path, way: str, meant: set[str]) -> None:
    """dir == DMA_FROM_DEVICE where the caller names the direction."""
    text = """
    static int take(struct region *r, enum dma_data_direction dir)
    {
        return pin_user_pages_fast(0, 4, dir == DMA_FROM_DEVICE ? FOLL_WRITE : 0, r->pages);
    }
    """
    text += f"int a(struct region *r) {{ return take(r, {way}); }}"
    assert flags(only(reading(tmp_path, driver=text))) == meant


def test_a_parameter_that_is_changed_is_not_the_callers(tmp_path: Path) -> None:
    """`write = r->always` between leaves both."""
    text = (TAKE % "bool").replace("    if (write)", "    write = r->always;\n    if (write)")
    assert flags(only(reading(tmp_path, driver=text + "int a(struct region *r) { return take(r, 0, true); }"))) == BOTH


@pytest.mark.parametrize(
    ("more", "known"),
    [
        ("", True),
        ("static const struct ops ops = { .pin = take };", False),
        ("void set(struct ops *o) { o->pin = take; }", False),
        ("EXPORT_SYMBOL_GPL(take);", True),
        ('/* .pin = take */ const char *word = "take";', True),
    ],
)
def test_whoever_calls_by_an_address_is_unknown(tmp_path: Path, more: str, known: bool) -> None:
    """A function whose address is taken has callers that are not seen, and the flags are not known."""
    text = f"""
    static int take(struct region *r, unsigned int gup)
    {{
        return pin_user_pages_fast(0, 4, gup, r->pages);
    }}
    int a(struct region *r) {{ return take(r, FOLL_WRITE); }}
    {more}
    """
    site = only(reading(tmp_path, driver=text))
    assert site.resolved == known
    assert any(one.words == "FOLL_WRITE" for one in site.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("int (*pin)(long, int, unsigned int, struct page **) = pin_user_pages_fast;", True),
        ("void set(struct ops *o) { o->pin = pin_user_pages_fast; }", True),
        ("/* o->pin = pin_user_pages_fast; */", False),
        ("int f(struct page **p) { return pin_user_pages_fast(0, 1, 0, p); }", False),
    ],
)
def test_what_is_named_and_not_called_is_said(tmp_path: Path, text: str, said: bool) -> None:
    """Calls by an address are not followed, and a sentence says so."""
    found = reading(tmp_path, driver=text).tree.left_out
    assert any("pin_user_pages_fast() is named and not called" in one for one in found) == said


def test_callers_of_what_is_not_static_are_looked_for(tmp_path: Path) -> None:
    """In files that name nothing of GUP, too, where the function's own file has another caller."""
    driver = TAKE.replace("static ", "") % "bool" + "int a(struct region *r) { return take(r, 0, true); }"
    user = "int b(struct region *r) { return take(r, 0, false); }"
    assert flags(only(reading(tmp_path / "one", driver=driver))) == {"FOLL_LONGTERM|FOLL_WRITE"}
    assert flags(only(reading(tmp_path / "two", driver=driver, user=user))) == BOTH
