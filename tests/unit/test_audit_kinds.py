"""Each kind of finding of `pinhold audit`: code that has it, and its twin that has not."""

from __future__ import annotations

from pathlib import Path

import pytest

from audited import audited, found, oracle, write
from pinhold.audit.audit import audit
from pinhold.audit.files import find
from pinhold.scenario.parse import parse
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.runner import run_scenario


def call(gup: str, name: str = "pin_user_pages_fast") -> str:
    """A function that gets four pages with these flags, and lets them go."""
    return f"""
    int f(struct x *x, long at, int to)
    {{
        struct page *p[4];
        int n = {name}(at, 4, {gup}, p);

        use(x, p);
        unpin_user_pages_dirty_lock(p, n, to);
        return n;
    }}
    """


def test_force_in_a_driver(tmp_path: Path) -> None:
    """FOLL_FORCE in any alternative is an error, and what to pass is said; without it nothing is."""
    (one,) = found(tmp_path / "a", "FORCE", driver=call("to ? FOLL_WRITE : FOLL_FORCE"))
    assert (one.severity, one.flags, one.when) == ("error", "FOLL_FORCE", ("!to",))
    assert found(tmp_path / "b", "FORCE", driver=call("to ? FOLL_WRITE : 0")) == []


def test_force_is_for_what_debugs(tmp_path: Path) -> None:
    """In a kernel's tree fs/proc may, and an emulator in arch/ by access_process_vm(); a driver may neither."""
    debugger = "int f(struct task_struct *t) { return access_process_vm(t, 0, 0, 8, FOLL_FORCE); }"
    makefile = "VERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 0\n"
    root = write(
        tmp_path,
        {"Makefile": makefile, "Kconfig": "", "mm/gup.c": "", "fs/proc/base.c": call("FOLL_FORCE"),
         "arch/x/emulate.c": debugger, "arch/x/kvm/mmu.c": call("FOLL_FORCE"), "drivers/a.c": debugger},
    )  # fmt: skip
    made = audit(find([str(root)]), "6.12", oracle("6.12"))
    assert [one.path for one in made.findings if one.kind == "FORCE"] == ["arch/x/kvm/mmu.c", "drivers/a.c"]


def test_force_where_it_is_needed_before_6_2(tmp_path: Path) -> None:
    """LONGTERM|WRITE|FORCE of 6.1: the advice says that a read-only pin needs FOLL_WRITE there; in 6.12 it does not."""
    gup = "FOLL_LONGTERM | FOLL_WRITE | FOLL_FORCE"
    (old,) = found(tmp_path / "a", "FORCE", "6.1", driver=call(gup))
    (new,) = found(tmp_path / "b", "FORCE", "6.12", driver=call(gup))
    assert "before 6.2 a pin that only reads has to say FOLL_LONGTERM|FOLL_WRITE to stay reliable" in old.advice
    assert len(new.advice) == 1


def test_stale_on_a_release(tmp_path: Path) -> None:
    """FOLL_LONGTERM alone is stale on 6.1 and right on 6.12; with FOLL_WRITE it is right on both."""
    (one,) = found(tmp_path / "a", "STALE", "6.1", driver=call("FOLL_LONGTERM"))
    assert one.severity == "error"
    assert one.advice[0].startswith("pass FOLL_LONGTERM|FOLL_WRITE: on 6.1 this is reliable")
    assert one.advice[1] == "FOLL_LONGTERM is right from 6.2 on"
    assert ("private anonymous: never touched", "stale") in one.memory
    assert found(tmp_path / "b", "STALE", "6.12", driver=call("FOLL_LONGTERM")) == []
    assert found(tmp_path / "c", "STALE", "6.1", driver=call("FOLL_LONGTERM | FOLL_WRITE")) == []


def test_a_short_pin_is_a_snapshot_and_not_stale(tmp_path: Path) -> None:
    """Without FOLL_LONGTERM a copy is all that was promised."""
    assert found(tmp_path, "STALE", "6.1", driver=call("0")) == []


def test_stale_is_judged_per_caller(tmp_path: Path) -> None:
    """One of two callers passes FOLL_LONGTERM alone: it is named, and the other is not."""
    text = """
    static int take(long at, struct page **p, unsigned int gup)
    {
        return pin_user_pages_fast(at, 4, gup, p);
    }
    int registers(long at, struct page **p) { return take(at, p, FOLL_LONGTERM); }
    int launches(long at, struct page **p) { return take(at, p, FOLL_WRITE); }
    """
    (one,) = found(tmp_path, "STALE", "6.1", driver=text)
    assert [way[0].function for way in one.callers] == ["registers"]


def test_what_no_flags_help_is_a_note(tmp_path: Path) -> None:
    """On 5.10 the best flags are not reliable either: that is the release's, not the driver's."""
    (one,) = found(tmp_path, "STALE", "5.10", driver=call("FOLL_LONGTERM | FOLL_WRITE"))
    assert one.severity == "note"
    assert "no flags are better" in one.says


def test_the_scenario_of_a_stale_pin_shows_it(tmp_path: Path) -> None:
    """It is violated by the rules of the release, and held by those from which on the flags are right."""
    (one,) = found(tmp_path, "STALE", "6.1", driver=call("FOLL_LONGTERM"))
    scenario = parse(one.scenario)
    assert run_scenario(ModelTarget("6.1"), scenario).verdict.kind == "violated"
    assert run_scenario(ModelTarget("6.2"), scenario).verdict.kind == "held"


@pytest.mark.parametrize("wrong", ["to == 2", "!!to", "1", "true"])
def test_boolflags(tmp_path: Path, wrong: str) -> None:
    """A truth value or a number as gup_flags is an error; `to ? FOLL_WRITE : 0` and 0 are not."""
    (one,) = found(tmp_path / "a", "BOOLFLAGS", driver=call(wrong))
    assert one.severity == "error"
    for number, right in enumerate(("to ? FOLL_WRITE : 0", "0")):
        assert found(tmp_path / str(number), "BOOLFLAGS", driver=call(right)) == []


def test_a_number_of_flags_is_no_truth_value(tmp_path: Path) -> None:
    """0x10000 is some flag's bit of some release; 1 may have been a boolean."""
    (one,) = found(tmp_path / "a", "BOOLFLAGS", driver=call("0x10000"))
    assert "the number 0x10000 is passed" in one.says
    assert one.advice == ("write the FOLL_* names that are meant",)
    assert "true is 1" in found(tmp_path / "b", "BOOLFLAGS", driver=call("1"))[0].says


def test_advice_holds_on_the_release(tmp_path: Path) -> None:
    """On 5.10 no flags are reliable: the better ones are said to lose less; FORCE and STALE advise the same."""
    (stale,) = found(tmp_path / "a", "STALE", "5.10", driver=call("FOLL_LONGTERM"))
    assert "pass FOLL_LONGTERM|FOLL_WRITE: on 5.10 this loses less, and still " in stale.advice[0]
    assert "this is reliable" not in " ".join(stale.advice)
    (force,) = found(tmp_path / "b", "FORCE", "5.10", driver=call("FOLL_LONGTERM | FOLL_FORCE"))
    assert force.advice[0].startswith("pass FOLL_LONGTERM|FOLL_WRITE: ")
    (plain,) = found(tmp_path / "c", "FORCE", driver=call("FOLL_FORCE"))
    assert plain.advice[0].startswith("leave FOLL_FORCE out: ")


def test_booleans_of_old_signatures_are_no_boolflags(tmp_path: Path) -> None:
    """Before 4.9 write and force stood there."""
    text = "int f(struct page **p, int to) { return get_user_pages(0, 4, to, 0, p, NULL); }"
    assert found(tmp_path, "BOOLFLAGS", driver=text) == []


LOOP = """
int f(struct x *x, long at)
{{
    int i, n;

    do {{
        n = pin_user_pages_unlocked(at, 1, x->pages + x->count, FOLL_WRITE);
        if (n != 1)
            goto release;
{early}
        if (check(x))
            goto release;
{late}
        at += 4096;
    }} while (more(x));
    return 0;
release:
    for (i = 0; i < x->count; i++)
        unpin_user_page(x->pages[i]);
    return -1;
}}
"""


def test_lastleak(tmp_path: Path) -> None:
    """A page that is counted after a check that fails is not released; one that is counted at once is."""
    (one,) = found(tmp_path / "a", "LASTLEAK", driver=LOOP.format(early="", late="        x->count++;"))
    assert one.severity == "error"
    assert "line 12 goes to release" in one.says
    assert found(tmp_path / "b", "LASTLEAK", driver=LOOP.format(early="        x->count++;", late="")) == []


SHORT = """
int f(struct x *x, long at, int count)
{{
    struct page **p = alloc(count);
    int n;

    n = pin_user_pages_fast(at, count, FOLL_WRITE, p);
    if (n != count) {{
        {cleanup}
        kfree(p);
        return -14;
    }}
    start(x, p);
    unpin_user_pages(p, count);
    return 0;
}}
"""


def test_errleak(tmp_path: Path) -> None:
    """A short count that returns without a release; with one nothing is found."""
    (one,) = found(tmp_path / "a", "ERRLEAK", driver=SHORT.format(cleanup=""))
    assert one.severity == "warning"
    assert "line 8" in one.says
    clean = "if (n > 0) unpin_user_pages(p, n);"
    assert found(tmp_path / "b", "ERRLEAK", driver=SHORT.format(cleanup=clean)) == []


def test_errleak_knows_labels_and_functions_that_release(tmp_path: Path) -> None:
    """goto out with a release below it; and a function of the file that releases, whatever it is called."""
    label = SHORT.replace("return -14;", "goto out;").replace(
        "return 0;\n", "return 0;\nout:\n    release_all(x, p, n);\n    return -1;\n"
    )
    assert found(tmp_path / "a", "ERRLEAK", driver=label.format(cleanup="")) == []
    helper = "static void settle(struct page **p, int n) { unpin_user_pages(p, n); }\n"
    assert found(tmp_path / "b", "ERRLEAK", driver=helper + SHORT.format(cleanup="settle(p, n);")) == []


def test_errleak_of_a_single_page_is_none(tmp_path: Path) -> None:
    """Between none and one there is nothing to release."""
    text = SHORT.format(cleanup="").replace("(at, count,", "(at, 1,").replace("n != count", "n < one")
    assert found(tmp_path, "ERRLEAK", driver=text) == []


def test_what_is_only_faulted_in_leaks_nothing(tmp_path: Path) -> None:
    """get_user_pages() with NULL for the array keeps no page: neither ERRLEAK nor NODIRTY."""
    text = SHORT.format(cleanup="").replace("FOLL_WRITE, p)", "FOLL_WRITE, NULL)").replace("pin_user", "get_user")
    assert found(tmp_path / "a", "ERRLEAK", driver=text) == []
    assert found(tmp_path / "b", "NODIRTY", driver=text) == []


OBJECT = """
int fill(struct x *x, long at)
{{
    int n = pin_user_pages_fast(at, x->count, FOLL_WRITE, x->pages);

    if (n != x->count) {{
        x->count = n > 0 ? n : 0;
        return -14;
    }}
    x->list = build(x);
    return 0;
}}
void x_free(struct x *x)
{{
    {guard}
        unpin_user_pages_dirty_lock(x->pages, x->count, 1);
}}
"""


def test_errleak_that_an_objects_own_free_mends(tmp_path: Path) -> None:
    """What the object's release finds is no leak; what it passes over in this state is one, and an error."""
    assert found(tmp_path / "a", "ERRLEAK", driver=OBJECT.format(guard="")) == []
    (one,) = found(tmp_path / "b", "ERRLEAK", driver=OBJECT.format(guard="if (x->list)"))
    assert one.severity == "error"
    assert "x_free() is not come to while ->list is not set" in one.says


HELD = """
int attach(struct x *x, long at)
{{
    int n = {get}(at, 4, FOLL_WRITE, {pages});

    {then}
    return n < 4 ? -14 : 0;
}}
void detach(struct x *x)
{{
    dma_unmap(x);
    {put}
}}
void map(struct x *x) {{ dma_map_page(x->dev, x->pages[0], 0, 4096, 2); }}
"""


def test_getheld(tmp_path: Path) -> None:
    """References that stay in a structure for a device are a warning; pins are none, nor what is let go at once."""
    held = HELD.format(get="get_user_pages_fast", pages="x->pages", then="", put="put_page(x->pages[0]);")
    (one,) = found(tmp_path / "a", "GETHELD", driver=held)
    assert one.severity == "warning"
    assert "kept in x->pages, released by detach()" in one.says
    pinned = HELD.format(get="pin_user_pages_fast", pages="x->pages", then="", put="unpin_user_page(x->pages[0]);")
    assert found(tmp_path / "b", "GETHELD", driver=pinned) == []
    short = HELD.format(get="get_user_pages_fast", pages="x->pages", then="put_page(x->pages[0]);", put="")
    assert found(tmp_path / "c", "GETHELD", driver=short) == []


def test_getheld_through_a_local_array_and_an_out_parameter(tmp_path: Path) -> None:
    """A local array that is stored in a field, and one that is given to the caller, who keeps it."""
    stored = HELD.format(get="get_user_pages_fast", pages="p", then="x->pages = p;", put="put_page(x->pages[0]);")
    stored = stored.replace("long at)\n{", "long at)\n{\n    struct page **p = alloc(4);\n", 1)
    assert len(found(tmp_path / "a", "GETHELD", driver=stored)) == 1
    through = """
    static int get(long at, struct page **p) { return get_user_pages_fast(at, 1, FOLL_WRITE, p); }
    int attach(struct x *x, long at) { return get(at, &x->page); }
    void detach(struct x *x) { dma_unmap_page(x->dev); set_page_dirty_lock(x->page); put_page(x->page); }
    void map(struct x *x) { dma_map_page(x->dev, x->page, 0, 4096, 2); }
    """
    assert len(found(tmp_path / "b", "GETHELD", driver=through)) == 1


def test_getheld_is_not_the_other_branch_of_a_pin(tmp_path: Path) -> None:
    """#ifdef HAVE_PIN ... pin ... #else ... get: the get is for kernels without pins; without the twin it is told."""
    held = HELD.format(get="get_user_pages_fast", pages="x->pages", then="", put="put_page(x->pages[0]);")
    get = "int n = get_user_pages_fast(at, 4, FOLL_WRITE, x->pages);"
    branches = f"\n#ifdef HAVE_PIN\n{get.replace('get_', 'pin_')}\n#else\n{get}\n#endif\n"
    assert found(tmp_path / "a", "GETHELD", driver=held.replace(get, branches)) == []
    assert len(found(tmp_path / "b", "GETHELD", driver=held.replace(get, f"\n#ifdef X\n{get}\n#endif\n"))) == 1


def test_nodirty_of_what_is_only_looked_up_is_none(tmp_path: Path) -> None:
    """Pages that are touched and released are not written; given to a function whole, they may be."""
    text = SHORT.format(cleanup="unpin_user_pages(p, n);")
    assert found(tmp_path / "a", "NODIRTY", driver=text.replace("start(x, p);", "touch(p[0]);")) == []
    assert len(found(tmp_path / "b", "NODIRTY", driver=text)) == 1


def test_nodirty(tmp_path: Path) -> None:
    """Written pages that the file never marks dirty; with set_page_dirty_lock() or a release that does, none."""
    (one,) = found(tmp_path / "a", "NODIRTY", driver=SHORT.format(cleanup="unpin_user_pages(p, n);"))
    assert one.severity == "warning"
    marked = SHORT.format(cleanup="").replace("unpin_user_pages(p, count)", "unpin_user_pages_dirty_lock(p, count, 1)")
    assert found(tmp_path / "b", "NODIRTY", driver=marked) == []
    reading = SHORT.format(cleanup="").replace("FOLL_WRITE", "0")
    assert found(tmp_path / "c", "NODIRTY", driver=reading) == []


def test_nodirty_is_a_note_where_the_release_refuses_files(tmp_path: Path) -> None:
    """A long-term pin of a file to write is refused since 6.5: what is left is less; on 6.1 it is a warning."""
    text = SHORT.format(cleanup="").replace("FOLL_WRITE", "FOLL_WRITE | FOLL_LONGTERM")
    assert [found(tmp_path / r, "NODIRTY", r, driver=text)[0].severity for r in ("6.1", "6.12")] == ["warning", "note"]


RESULT = """
int f(struct x *x, long at, int count)
{{
    int ret;

    ret = pin_user_pages_fast(at, count, 0, x->pages);
    if (ret < count) {{
        {then}
        goto out;
    }}
    ret = 0;
out:
    unpin_all(x);
    return ret;
}}
"""


def test_positiveret(tmp_path: Path) -> None:
    """A short count that is returned where 0 is success; set to an errno first, it is none."""
    (one,) = found(tmp_path / "a", "POSITIVERET", driver=RESULT.format(then=""))
    assert one.severity == "warning"
    assert "line 7: a short count in ret is returned in line 14" in one.says
    assert found(tmp_path / "b", "POSITIVERET", driver=RESULT.format(then="ret = -14;")) == []


def test_positiveret_knows_what_is_asked_first(tmp_path: Path) -> None:
    """`if (ret < 0) return ret;` in the branch returns no count; without the question it is one."""
    asked = RESULT.format(then="if (ret < 0) return ret;").replace("goto out;", "return -14;")
    assert found(tmp_path / "a", "POSITIVERET", driver=asked) == []
    plain = RESULT.format(then="return ret;").replace("goto out;", "")
    assert len(found(tmp_path / "b", "POSITIVERET", driver=plain)) == 1


def test_positiveret_of_a_function_that_counts_is_none(tmp_path: Path) -> None:
    """One whose success is the count returns it rightly."""
    text = RESULT.format(then="").replace("    ret = 0;\n", "")
    assert found(tmp_path, "POSITIVERET", driver=text) == []


WRITE = """
static ssize_t x_write(struct file *f, const char __user *buf, size_t n, loff_t *pos)
{{
    struct page *p[4];
    int got = pin_user_pages_fast((unsigned long)buf, 4, {gup}, p);

    send(p, got);
    unpin_user_pages{dirty}(p, got{more});
    return n;
}}
"""


def test_needlesswrite(tmp_path: Path) -> None:
    """write(2) only reads its caller's memory; without FOLL_WRITE there is nothing, and no second finding with it."""
    text = WRITE.format(gup="FOLL_WRITE", dirty="", more="")
    kinds = [one.kind for one in audited(tmp_path / "a", driver=text).findings]
    assert kinds == ["NEEDLESSWRITE"]
    assert found(tmp_path / "b", "NEEDLESSWRITE", driver=WRITE.format(gup="0", dirty="", more="")) == []
    other = text.replace("const char __user", "char __user")
    assert found(tmp_path / "c", "NEEDLESSWRITE", driver=other) == []


def test_needlesswrite_not_where_the_release_needs_it(tmp_path: Path) -> None:
    """On 6.1 FOLL_WRITE is what keeps a long-term pin reliable; on 6.12 it is needless."""
    text = WRITE.format(gup="FOLL_WRITE | FOLL_LONGTERM", dirty="", more="")
    assert found(tmp_path / "a", "NEEDLESSWRITE", "6.1", driver=text) == []
    assert len(found(tmp_path / "b", "NEEDLESSWRITE", "6.12", driver=text)) == 1


def test_nolongterm_is_a_note(tmp_path: Path) -> None:
    """A pin that one function keeps and another releases; with FOLL_LONGTERM there is none."""
    text = HELD.format(get="pin_user_pages_fast", pages="x->pages", then="", put="unpin_user_page(x->pages[0]);")
    (one,) = found(tmp_path / "a", "NOLONGTERM", driver=text)
    assert one.severity == "note"
    longterm = text.replace("FOLL_WRITE", "FOLL_WRITE | FOLL_LONGTERM")
    assert found(tmp_path / "b", "NOLONGTERM", driver=longterm) == []


def test_unresolved_is_a_note(tmp_path: Path) -> None:
    """Flags that nobody here passes."""
    text = "int f(struct page **p, unsigned int gup) { return pin_user_pages_fast(0, 4, gup, p); }"
    (one,) = found(tmp_path / "a", "UNRESOLVED", driver=text)
    assert (one.severity, one.says) == ("note", "its flags are not known: parameter gup of f()")
    assert found(tmp_path / "b", "UNRESOLVED", driver=text.replace(" gup, p)", " 0, p)")) == []
