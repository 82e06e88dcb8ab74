"""`pinhold audit` follows a variable through a function: gotos, early returns, inner blocks, and its address."""

from __future__ import annotations

from pathlib import Path

import pytest

from audited import flags, only, reading

L, LW = "FOLL_LONGTERM", "FOLL_LONGTERM|FOLL_WRITE"


def meant(folder: Path, body: str, before: str = "") -> set[str]:
    """The flag sets of the call in a function with this body, where gup begins as FOLL_LONGTERM."""
    text = f"""
    {before}
    int f(struct region *r, int write, int other)
    {{
        unsigned int gup = FOLL_LONGTERM;
        int n;

        {body}
        return n;
    }}
    """
    return flags(only(reading(folder, driver=text)))


CALL = "n = pin_user_pages_fast(0, 4, gup, r->pages);"


@pytest.mark.parametrize(
    ("body", "sets"),
    [
        (f"if (!write) goto pin; gup |= FOLL_WRITE; pin: {CALL}", {L, LW}),
        (f"if (!r->ok) goto out; gup |= FOLL_WRITE; {CALL} out: n = 0;", {LW}),
        (f"gup |= FOLL_WRITE; retry: {CALL} if (n < 0) {{ gup &= ~FOLL_WRITE; goto retry; }}", {L, LW}),
        (f"gup |= FOLL_WRITE; {CALL} if (n < 0) {{ gup &= ~FOLL_WRITE; goto out; }} out: n = 0;", {LW}),
        (f"do {{ if (!write) break; gup |= FOLL_WRITE; }} while (0); {CALL}", {L, LW}),
        (f"for (n = 0; n < 4; n++) gup |= FOLL_WRITE; {CALL}", {L, LW}),
        (f"do {{ gup |= FOLL_WRITE; }} while (other); {CALL}", {LW}),
    ],
)
def test_jumps(tmp_path: Path, body: str, sets: set[str]) -> None:
    """What a goto or break passes over may not have happened; a goto back is a loop; a loop may not run."""
    assert meant(tmp_path, body) == sets


@pytest.mark.parametrize(
    ("body", "sets"),
    [
        (f"if (!write) return -EPERM; if (write) gup |= FOLL_WRITE; {CALL}", {LW}),
        (f"if (!write) goto out; if (write) gup |= FOLL_WRITE; {CALL} out: n = 0;", {LW}),
        (f"if (!write) r->n++; if (write) gup |= FOLL_WRITE; {CALL}", {L, LW}),
        (f"if (!write) return -EPERM; write = other; if (write) gup |= FOLL_WRITE; {CALL}", {L, LW}),
        (f"if (other) goto in; if (!write) return -EPERM; in: if (write) gup |= FOLL_WRITE; {CALL}", {L, LW}),
    ],
)
def test_an_early_return_is_a_condition(tmp_path: Path, body: str, sets: set[str]) -> None:
    """Until what it asks for is changed, and where no goto comes in behind it."""
    assert meant(tmp_path, body) == sets


@pytest.mark.parametrize(
    ("body", "sets"),
    [
        (f"if (0) gup |= FOLL_WRITE; {CALL}", {L}),
        (f"if (1) gup |= FOLL_WRITE; {CALL}", {LW}),
        (f"if (LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)) gup |= FOLL_WRITE; {CALL}", {L}),
        (f"if (LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)) gup |= FOLL_WRITE; {CALL}", {LW}),
        (f"gup |= LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0) ? FOLL_WRITE : 0; {CALL}", {L}),
    ],
)
def test_conditions_in_code_that_a_release_decides(tmp_path: Path, body: str, sets: set[str]) -> None:
    """if (0), and versions."""
    assert meant(tmp_path, body) == sets


@pytest.mark.parametrize(
    ("body", "sets"),
    [
        (f"{{ unsigned int gup = FOLL_FORCE; look(gup); }} {CALL}", {L}),
        (f"{{ gup = FOLL_WRITE; look(gup); }} {CALL}", {"FOLL_WRITE"}),
        (f"{{ unsigned int gup = FOLL_WRITE; {CALL} }}", {"FOLL_WRITE"}),
    ],
)
def test_an_inner_block_has_its_own_variable(tmp_path: Path, body: str, sets: set[str]) -> None:
    """One of the same name is another."""
    assert meant(tmp_path, body) == sets


ADDS = "static void add(unsigned int *p, int w) { if (w) *p |= FOLL_WRITE; }"


@pytest.mark.parametrize(
    ("body", "before", "sets"),
    [
        (f"add(&gup); {CALL}", "static void add(unsigned int *p) { *p |= FOLL_WRITE; }", {LW}),
        (f"add(&gup, write); {CALL}", ADDS, {L, LW}),
        (f"add(&gup); {CALL}", "", {"?gup, whose address add() gets"}),
        (f"add(&gup); {CALL}", "static void add(unsigned int *p) { other(p); }", {"?gup, whose address add() gets"}),
        (f"unsigned int *p = &gup; *p |= FOLL_WRITE; {CALL}", "", {"?gup, whose address is kept"}),
        (f"{CALL} add(&gup);", "", {L}),
        (f"n = sizeof(&gup); {CALL}", "", {L}),
    ],
)
def test_an_address_that_goes_out(tmp_path: Path, body: str, before: str, sets: set[str]) -> None:
    """What a function does by it counts where all of it is seen; else nobody knows what the variable is."""
    assert meant(tmp_path, body, before) == sets


@pytest.mark.parametrize(
    ("body", "sets"),
    [
        (f"gup |= FOLL_WRITE; gup &= FOLL_LONGTERM; {CALL}", {L}),
        (f"gup |= FOLL_WRITE; gup ^= FOLL_WRITE; {CALL}", {L}),
        (f"gup ^= FOLL_WRITE; {CALL}", {LW}),
        (f"write && (gup |= FOLL_WRITE); {CALL}", {L, LW}),
        (f"write || (gup |= FOLL_WRITE); {CALL}", {L, LW}),
        (f"write ? (gup |= FOLL_WRITE) : 0; {CALL}", {L, LW}),
        (f"0 || (gup |= FOLL_WRITE); {CALL}", {LW}),
    ],
)
def test_operators(tmp_path: Path, body: str, sets: set[str]) -> None:
    """&=, ^=, and assignments in conditions."""
    assert meant(tmp_path, body) == sets


FIELD = "n = pin_user_pages_fast(0, 4, r->gup, r->pages);"


@pytest.mark.parametrize(
    ("body", "sets"),
    [
        (f"r->gup = FOLL_LONGTERM | FOLL_WRITE; if (other) r->gup &= ~FOLL_WRITE; {FIELD}", {L, LW}),
        (f"r->gup = FOLL_LONGTERM | FOLL_WRITE; r->gup &= ~FOLL_WRITE; {FIELD}", {L}),
        (f"r->gup = FOLL_LONGTERM; r->gup ^= FOLL_WRITE; {FIELD}", {LW}),
        (f"r->gup = FOLL_LONGTERM; r->gup |= FOLL_WRITE; {FIELD}", {LW}),
        (f"r->gup = FOLL_LONGTERM; set_write(&r->gup); {FIELD}", {L, "?r->gup, whose address is passed"}),
    ],
)
def test_a_field_is_changed_too(tmp_path: Path, body: str, sets: set[str]) -> None:
    """By all operators, and unknown where its address goes out."""
    assert meant(tmp_path, body) == sets


def test_a_structure_of_another_function_is_another(tmp_path: Path) -> None:
    """`struct gup g = {...}` in two functions; one whose address is passed may be the other's."""
    text = """
    int other(struct region *r) { struct gup g = { .flags = FOLL_LONGTERM }; return look(g.flags); }
    int f(struct region *r)
    {
        struct gup g = { .flags = FOLL_LONGTERM | FOLL_WRITE };

        return pin_user_pages_fast(0, 4, g.flags, r->pages);
    }
    """
    assert flags(only(reading(tmp_path / "own", driver=text))) == {LW}
    shared = text.replace("look(g.flags)", "look(&g)").replace("return pin_user", "fill(&g); return pin_user")
    assert flags(only(reading(tmp_path / "shared", driver=shared))) == {L, LW}
