"""`pinhold audit` reads C: call sites are found, and their flags evaluated, through all that makes kernel code hard."""

from __future__ import annotations

from pathlib import Path

import pytest

from audited import flags, only, reading
from pinhold.audit import evaluate, unit


def test_flags_as_they_are_written(tmp_path: Path) -> None:
    """Names, or-ed, in parentheses, and 0 for none."""
    for number, (written, meant) in enumerate(
        (
            ("FOLL_WRITE | (FOLL_LONGTERM)", "FOLL_LONGTERM|FOLL_WRITE"),
            ("0", "0"),
            ("FOLL_PCI_P2PDMA", "FOLL_PCI_P2PDMA"),
        )
    ):
        text = f"int f(long at, struct page **p) {{ return pin_user_pages_fast(at, 4, {written}, p); }}"
        site = only(reading(tmp_path / str(number), driver=text))
        assert flags(site) == {meant}
        assert site.resolved


def test_a_conditional_gives_both_with_their_conditions(tmp_path: Path) -> None:
    """`write ? FOLL_WRITE : 0` is two alternatives, each under its condition."""
    text = "int f(int to, struct page **p) { return pin_user_pages_fast(0, 4, to ? FOLL_WRITE : 0, p); }"
    site = only(reading(tmp_path, driver=text))
    assert {(one.words, one.when[0].words) for one in site.value} == {("FOLL_WRITE", "to"), ("0", "!to")}


def test_a_variable_is_what_was_assigned_in_order(tmp_path: Path) -> None:
    """Under an `if` both what was and what is added; what comes after the call does not count."""
    text = """
    int f(struct x *x, struct page **p)
    {
        unsigned int gup = FOLL_LONGTERM;
        int n;

        if (x->writable)
            gup |= FOLL_WRITE;
        n = pin_user_pages(x->at, 4, gup, p);
        gup = FOLL_FORCE;
        return n;
    }
    """
    assert flags(only(reading(tmp_path, driver=text))) == {"FOLL_LONGTERM", "FOLL_LONGTERM|FOLL_WRITE"}


def test_branches_that_exclude_each_other_do_not_mix(tmp_path: Path) -> None:
    """if/else leaves no third alternative, and one condition is not both true and false."""
    text = """
    int f(int out, struct page **p)
    {
        unsigned int gup = FOLL_FORCE;

        if (out)
            gup = FOLL_WRITE;
        else
            gup = 0;
        if (out)
            gup |= FOLL_LONGTERM;
        return pin_user_pages_fast(0, 4, gup, p);
    }
    """
    assert flags(only(reading(tmp_path, driver=text))) == {"FOLL_LONGTERM|FOLL_WRITE", "0"}


def test_taking_a_flag_away(tmp_path: Path) -> None:
    """`&= ~FOLL_WRITE` and `flags & ~FOLL_WRITE`."""
    text = """
    int f(struct page **p)
    {
        unsigned int gup = FOLL_WRITE | FOLL_LONGTERM | FOLL_FORCE;

        gup &= ~FOLL_FORCE;
        return pin_user_pages_fast(0, 4, gup & ~FOLL_WRITE, p);
    }
    """
    assert flags(only(reading(tmp_path, driver=text))) == {"FOLL_LONGTERM"}


def test_each_caller_is_an_alternative_of_its_own(tmp_path: Path) -> None:
    """A parameter is what each caller passes, through two functions, and the way is told."""
    text = """
    static int take(long at, struct page **p, unsigned int gup)
    {
        return pin_user_pages_fast(at, 4, gup, p);
    }
    static int both(long at, struct page **p, unsigned int more)
    {
        return take(at, p, more | FOLL_LONGTERM);
    }
    int reads(long at, struct page **p) { return both(at, p, 0); }
    int writes(long at, struct page **p) { return both(at, p, FOLL_WRITE); }
    int short_one(long at, struct page **p) { return take(at, p, FOLL_WRITE); }
    """
    site = only(reading(tmp_path, driver=text))
    assert {(one.words, "<".join(step.function for step in one.path)) for one in site.value} == {
        ("FOLL_LONGTERM", "reads<both"),
        ("FOLL_LONGTERM|FOLL_WRITE", "writes<both"),
        ("FOLL_WRITE", "short_one"),
    }


def test_callers_in_another_file_are_found(tmp_path: Path) -> None:
    """Of a function that is not static, also in a file that names nothing of GUP."""
    made = reading(
        tmp_path,
        driver="int take(struct page **p, unsigned int gup) { return pin_user_pages_fast(0, 4, gup, p); }",
        user="int use(struct page **p) { return take(p, FOLL_WRITE); }",
    )
    assert flags(only(made)) == {"FOLL_WRITE"}
    assert set(made.wrappers) == {"take"}


def test_a_static_function_of_that_name_elsewhere_is_another(tmp_path: Path) -> None:
    """Its callers are no callers."""
    made = reading(
        tmp_path,
        driver="int take(struct page **p, unsigned int gup) { return pin_user_pages_fast(0, 4, gup, p); }\n"
        "int use(struct page **p) { return take(p, 0); }",
        other="static int take(struct page **p, unsigned int gup) { return get_user_pages_fast(0, 4, 0, p) + gup; }\n"
        "int use_other(struct page **p) { return take(p, FOLL_FORCE); }",
    )
    pins = [one for one in made.sites if one.call.name == "pin_user_pages_fast"]
    assert flags(pins[0]) == {"0"}


def test_a_field_is_what_the_file_stores_in_it(tmp_path: Path) -> None:
    """Assignments and designated initialisers, of that name."""
    text = """
    static struct user one = { .gup = FOLL_WRITE };
    void set(struct user *u) { u->gup = FOLL_LONGTERM; }
    int f(struct user *u, struct page **p) { return pin_user_pages_fast(0, 4, u->gup, p); }
    """
    assert flags(only(reading(tmp_path, driver=text))) == {"FOLL_WRITE", "FOLL_LONGTERM"}


def test_a_field_of_another_structure_is_another(tmp_path: Path) -> None:
    """Fields that are called alike are told apart where both structures are seen; else they count."""
    text = """
    struct wish { unsigned int flags; };
    void slots(struct slot *s) { s->flags = SLOT_INVALID; }
    static int take(struct wish *w, struct page **p) { return pin_user_pages_fast(0, 4, w->flags, p); }
    int f(struct page **p)
    {
        struct wish w = { .flags = FOLL_WRITE };

        return take(&w, p);
    }
    """
    assert flags(only(reading(tmp_path / "a", driver=text))) == {"FOLL_WRITE"}
    unseen = text.replace("(struct slot *s)", "(void)").replace("s->flags", "slot()->flags")
    assert flags(only(reading(tmp_path / "b", driver=unseen))) == {"FOLL_WRITE", "?SLOT_INVALID"}


@pytest.mark.parametrize("stores", [evaluate.MOST_STORES, evaluate.MOST_STORES + 1, 20 * evaluate.MOST_STORES])
def test_a_field_that_is_set_at_very_many_places_is_not_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stores: int
) -> None:
    """So a file of nothing but stores costs no more than the bound: its stores are counted, and not looked at."""
    looked = []
    whose = evaluate.owner_of
    monkeypatch.setattr(evaluate, "owner_of", lambda node, function: looked.append(node) or whose(node, function))
    text = "void set(struct user *u) {" + "u->gup = FOLL_WRITE; " * stores + "}\n"
    text += "int f(struct user *u, struct page **p) { return pin_user_pages_fast(0, 4, u->gup, p); }"
    site = only(reading(tmp_path, driver=text))
    known = stores <= evaluate.MOST_STORES
    assert flags(site) == {"FOLL_WRITE" if known else f"?field gup, set at {stores} places"}
    assert 1 <= len(looked) <= evaluate.MOST_STORES + 1


def test_a_function_is_what_it_returns(tmp_path: Path) -> None:
    """Under the conditions of its returns."""
    text = """
    static unsigned int wanted(struct user *u)
    {
        if (u->ro)
            return FOLL_LONGTERM;
        return FOLL_LONGTERM | FOLL_WRITE;
    }
    int f(struct user *u, struct page **p) { return pin_user_pages_fast(0, 4, wanted(u), p); }
    """
    assert flags(only(reading(tmp_path, driver=text))) == {"FOLL_LONGTERM", "FOLL_LONGTERM|FOLL_WRITE"}


def test_a_macro_holds_flags(tmp_path: Path) -> None:
    """#define OURS (FOLL_WRITE | FOLL_LONGTERM)."""
    text = """
    #define OURS (FOLL_WRITE | FOLL_LONGTERM)
    int f(struct page **p) { return pin_user_pages_fast(0, 4, OURS, p); }
    """
    assert flags(only(reading(tmp_path, driver=text))) == {"FOLL_LONGTERM|FOLL_WRITE"}


def test_what_is_not_known_is_said(tmp_path: Path) -> None:
    """A parameter of a function that nobody calls is no flag set, and the site is not resolved."""
    text = "int f(struct page **p, unsigned int gup) { return pin_user_pages_fast(0, 4, gup | FOLL_WRITE, p); }"
    site = only(reading(tmp_path, driver=text))
    assert not site.resolved
    assert flags(site) == {"FOLL_WRITE|?parameter gup of f()"}


def test_recursion_comes_to_an_end(tmp_path: Path) -> None:
    """Functions that call each other with what they were passed cost no more than the bounds."""
    text = """
    int a(struct page **p, unsigned int gup) { b(p, gup); return pin_user_pages_fast(0, 4, gup, p); }
    int b(struct page **p, unsigned int gup) { return a(p, gup) + a(p, gup | FOLL_WRITE); }
    int use(struct page **p) { return a(p, FOLL_LONGTERM); }
    """
    assert "FOLL_LONGTERM" in flags(only(reading(tmp_path, driver=text)))


# What makes kernel code hard to parse


def test_attributes_are_no_obstacle(tmp_path: Path) -> None:
    """__must_check, __user, __releases(x) and the like around what matters: the function and its line are found."""
    text = """
    static noinline __must_check int __releases(&x->lock)
    f(struct x *x, const char __user *buf, struct page **p) __must_hold(&x->lock)
    {
        return pin_user_pages_fast((unsigned long)buf, 4, FOLL_WRITE, p);
    }
    """
    site = only(reading(tmp_path, driver=text))
    assert (site.function, site.line) == ("f", 5)


def test_macros_as_statements_do_not_hide_a_call(tmp_path: Path) -> None:
    """for_each_thing(x) { ... } and statements without a semicolon, beside the call and around it."""
    text = """
    DEFINE_THING(a, b)
    int f(struct x *x, struct page **p)
    {
        int n = 0;

        BEGIN_SOMETHING(x)
        for_each_range(r, x) {
            n += pin_user_pages_fast(r->at, 4, FOLL_LONGTERM, p);
        }
        return n;
    }
    """
    site = only(reading(tmp_path, driver=text))
    assert (site.function, flags(site)) == ("f", {"FOLL_LONGTERM"})


def test_an_if_inside_of_the_arguments(tmp_path: Path) -> None:
    """A version decides which arguments there are; the other branch is dead, and the call whole."""
    text = """
    int f(struct mm_struct *mm, unsigned long at, struct page **p)
    {
        return get_user_pages_remote(
    #if LINUX_VERSION_CODE < KERNEL_VERSION(5, 9, 0)
            current,
    #endif
            mm, at, 1,
    #if LINUX_VERSION_CODE >= KERNEL_VERSION(4, 9, 0)
            FOLL_WRITE,
    #else
            1, 0,
    #endif
            p, NULL
    #if LINUX_VERSION_CODE >= KERNEL_VERSION(4, 10, 0) && LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
            , NULL
    #endif
            );
    }
    """
    site = only(reading(tmp_path, driver=text))
    assert (site.function, flags(site), len(site.call.arguments)) == ("f", {"FOLL_WRITE"}, 6)


def test_braces_that_only_one_branch_opens(tmp_path: Path) -> None:
    """A configuration splits the blocks: one branch of each is read, and the call is in its function."""
    text = """
    int f(struct x *x, struct page **p)
    {
        int n;
    #ifdef CONFIG_HAS_THING
        if (x->thing) {
    #else
        if (x->other) {
    #endif
            n = pin_user_pages_fast(x->at, 4, FOLL_WRITE, p);
        }
        return n;
    }
    """
    site = only(reading(tmp_path, driver=text))
    assert (site.function, flags(site)) == ("f", {"FOLL_WRITE"})


def test_both_branches_of_what_nobody_decides_are_read(tmp_path: Path) -> None:
    """#ifdef HAVE_PIN: the pin and the get are both there."""
    text = """
    int f(unsigned long at, struct page **p)
    {
    #ifdef HAVE_PIN
        return pin_user_pages_fast(at, 4, FOLL_WRITE, p);
    #else
        return get_user_pages_fast(at, 4, FOLL_WRITE, p);
    #endif
    }
    """
    assert {one.call.name for one in reading(tmp_path, driver=text).sites} == {
        "pin_user_pages_fast",
        "get_user_pages_fast",
    }


@pytest.mark.parametrize(
    ("call", "meant"),
    [
        ("get_user_pages(at, 4, FOLL_WRITE, p, NULL)", {"FOLL_WRITE"}),
        ("get_user_pages(at, 4, FOLL_WRITE, p)", {"FOLL_WRITE"}),
        ("get_user_pages(at, 4, 1, 0, p, NULL)", {"FOLL_WRITE"}),
        ("get_user_pages(at, 4, 0, 1, p, NULL)", {"FOLL_FORCE"}),
        ("get_user_pages(current, mm, at, 4, FOLL_WRITE, p, NULL)", {"FOLL_WRITE"}),
        ("get_user_pages(current, mm, at, 4, 1, 1, p, NULL)", {"FOLL_WRITE|FOLL_FORCE"}),
        ("get_user_pages_remote(mm, at, 4, FOLL_FORCE, p, NULL, NULL)", {"FOLL_FORCE"}),
        ("get_user_pages_remote(tsk, mm, at, 4, FOLL_FORCE, p, NULL, NULL)", {"FOLL_FORCE"}),
        ("get_user_pages_unlocked(at, 4, p, FOLL_WRITE)", {"FOLL_WRITE"}),
        ("get_user_page_fast_only(at, FOLL_WRITE, p)", {"FOLL_WRITE"}),
        ("get_user_page_vma_remote(mm, at, FOLL_WRITE, &vma)", {"FOLL_WRITE"}),
        ("pin_user_pages_remote(mm, at, 4, FOLL_LONGTERM, p, NULL)", {"FOLL_LONGTERM"}),
    ],
)
def test_the_number_of_arguments_says_the_era(tmp_path: Path, call: str, meant: set[str]) -> None:
    """Where the flags are, and the booleans that stood there before 4.9."""
    text = f"int f(struct mm_struct *mm, long at, struct page **p) {{ return {call}; }}"
    assert flags(only(reading(tmp_path, driver=text))) == meant


def test_macros_for_a_function_are_followed(tmp_path: Path) -> None:
    """A name in capitals for pin_user_pages(), with its arguments or without, in files that name nothing else."""
    header = """
    #define OUR_PIN pin_user_pages
    #define OUR_PIN_MANY(at, n, gup, pages, more) \\
        pin_user_pages(at, n, gup, pages)
    """
    for number, call in enumerate(("OUR_PIN(at, 4, FOLL_LONGTERM, p)", "OUR_PIN_MANY(at, 4, FOLL_LONGTERM, p, NULL)")):
        text = f"int f(long at, struct page **p) {{ return {call}; }}"
        site = only(reading(tmp_path / str(number), ours_h=header, driver=text))
        assert (site.path, flags(site)) == ("driver.c", {"FOLL_LONGTERM"})


def test_an_inline_wrapper_in_a_header_is_a_wrapper(tmp_path: Path) -> None:
    """Its callers' flags are its call's, and it is listed."""
    header = """
    static inline int OUR_PIN(long at, unsigned int gup, struct page **p)
    {
        return pin_user_pages(at, 1, gup, p);
    }
    """
    made = reading(tmp_path, ours_h=header, driver="int f(struct page **p) { return OUR_PIN(0, FOLL_WRITE, p); }")
    assert flags(only(made)) == {"FOLL_WRITE"}
    assert set(made.wrappers) == {"OUR_PIN"}


def test_in_a_loop_what_is_assigned_later_comes_round(tmp_path: Path) -> None:
    """An assignment after the call, inside of the loop around it, reaches it; do/while too."""
    text = """
    int f(struct page **p)
    {
        unsigned int gup = FOLL_WRITE;
        int n;

        do {
            n = pin_user_pages_fast(0, 4, gup, p);
            gup = FOLL_LONGTERM;
        } while (n > 0);
        return n;
    }
    """
    assert flags(only(reading(tmp_path, driver=text))) == {"FOLL_WRITE", "FOLL_LONGTERM"}


def test_labels_and_statement_expressions_are_passed_over(tmp_path: Path) -> None:
    """Neither hides an assignment."""
    text = """
    int f(struct page **p)
    {
        unsigned int gup = FOLL_WRITE;
        int n;
    again:
        n = ({ int m = 4; m; });
        gup |= FOLL_LONGTERM;
        n = pin_user_pages_fast(0, n, gup, p);
        if (n == 0)
            goto again;
        return n;
    }
    """
    assert "FOLL_LONGTERM|FOLL_WRITE" in flags(only(reading(tmp_path, driver=text)))


def test_comments_strings_prototypes_and_defines_are_no_calls(tmp_path: Path) -> None:
    """Nor is the definition of a function of that name."""
    text = """
    long pin_user_pages(unsigned long at, unsigned long n, unsigned int gup, struct page **p);
    /* pin_user_pages(at, 1, FOLL_FORCE, p); */
    #define NOT_YET(p) pin_user_pages(0, 1, 0, p)
    void f(void) { printk("pin_user_pages(%d)", 1); }
    """
    assert reading(tmp_path, driver=text).sites == []


def test_a_system_call_is_a_function(tmp_path: Path) -> None:
    """SYSCALL_DEFINE2(name, ...) defines what its first argument names."""
    text = """
    SYSCALL_DEFINE2(hold, unsigned long, at, unsigned int, n)
    {
        struct page *p[4];

        return pin_user_pages_fast(at, n, FOLL_WRITE, p);
    }
    """
    assert only(reading(tmp_path, driver=text)).function == "hold"


@pytest.mark.parametrize(("torn", "parsed"), [("@ @ x;", 1), ("\n#ifdef X\n@ @ x;\n#endif\n", 3)])
def test_a_file_is_parsed_again_only_where_an_if_may_have_torn_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, torn: str, parsed: int
) -> None:
    """A branch of each #if is read alone where one is near a call that is torn; elsewhere that would change nothing."""
    count = []
    parse = unit.syntax.parse
    monkeypatch.setattr(unit.syntax, "parse", lambda text: count.append(text) or parse(text))
    far = "\n#ifdef Y\nint y;\n#endif\n" + "/* no more */\n" * 100
    text = far + "int f(struct page **p)\n{\n" + torn + "return pin_user_pages_fast(0, 4, FOLL_WRITE, p);\n}\n"
    assert flags(only(reading(tmp_path, driver=text))) == {"FOLL_WRITE"}
    assert len(count) == parsed
