"""`pinhold explore` on the command line: what it prints, its statuses, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from pinhold.cli import main
from pinhold.commands.board import BOARD
from pinhold.commands.explore import Line, expected
from pinhold.explore import story
from pinhold.explore.budget import Progress
from pinhold.explore.find import goals
from pinhold.explore.history import good_world
from pinhold.explore.run import Options
from pinhold.explore.scope import library
from pinhold.explore.world import world
from pinhold.mm import releases

GOOD = """
[mine]
about = "one page, one writer"
size = "small"
setup = ["map P x anon"]
tasks.t = ["write P x 1"]
"""


def test_an_exhausted_scope_is_said_with_its_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    """Status 0, states, transitions and depth."""
    assert main(["explore", "seed-shmem"]) == 0
    out = capsys.readouterr().out
    assert "478 states, 1,112 transitions, depth 22" in out
    assert "Exhausted: nothing bad is reachable." in out


def test_what_is_found_is_told_step_by_step_and_written_as_a_scenario(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Status 1, a numbered table, the rule that decided, and a scenario that is violated on that release's model."""
    file = tmp_path / "found.pin"
    assert main(["explore", "seed-shmem", "--rules", "6.1", "-o", str(file)]) == 1
    out = capsys.readouterr().out
    assert "10 steps from the start" in out
    assert "10  cpu       … handle_mm_fault" in out
    assert "[gup_unshares]" in out
    assert main(["run", str(file), "--on", "model:6.1"]) == 1
    assert main(["run", str(file), "--on", "model:6.2"]) == 0


def test_a_race_is_written_with_its_schedule(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The scenario names the target that shows it, which does; the release as it is holds."""
    file = tmp_path / "race.pin"
    assert main(["explore", "fork-races-gup-fast", "--without", "write_protect_seq", "-o", str(file)]) == 1
    shows = "model:6.2,write_protect_seq=no"
    assert f"pinhold run {file} --on {shows} shows it." in capsys.readouterr().out
    assert f"# shown by: --on {shows}\n" in file.read_text()
    assert main(["run", str(file), "--on", shows]) == 1
    assert main(["run", str(file), "--on", "model:6.2"]) == 0


def test_a_rule_is_switched_back(capsys: pytest.CaptureFixture[str]) -> None:
    """--without RULE takes the value before the row's."""
    assert main(["explore", "seed-shmem", "--without", "gup_unshares"]) == 1
    assert "gup_unshares=anon (gup_must_unshare, without 84209e87c696)" in " ".join(capsys.readouterr().out.split())


def test_the_list_says_what_each_scope_costs(capsys: pytest.CaptureFixture[str]) -> None:
    """Name, size, states, seconds, and what it is about."""
    assert main(["explore", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(library())
    for line, scope in zip(lines, library().values(), strict=True):
        assert line.split()[:4] == [scope.name, scope.size, f"{scope.states:,}", "states"]
        assert line.endswith(scope.about)
        assert " s  " in line


def test_the_progress_line_estimates_what_is_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under a scope's own rules the states are known from earlier runs, under others nothing is promised."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    scope = library()["bench-fork"]
    known = expected(good_world(scope), Options())
    assert known == scope.states
    assert expected(world(scope, releases.row("6.1")), Options()) == 0
    assert expected(good_world(scope), Options(symmetric=False)) == 0
    monkeypatch.setenv("COLUMNS", "120")
    Line(known)(Progress(known // 4 + 1, 10, 5, 100, 2.0, 1 << 20))
    told = capsys.readouterr().err
    assert "25 %, 6 s left: " in told and told.rstrip().endswith("frontier 100, 1 MiB")
    Line(0)(Progress(known // 4 + 1, 10, 5, 100, 2.0, 1 << 20))
    assert "left" not in capsys.readouterr().err
    BOARD.clear("explore")


def test_what_is_told_is_as_wide_as_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From 80 columns to 200: the account of what was found, the list of scopes, the progress; no word is lost."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    said = {}
    for columns in (80, 120, 200):
        monkeypatch.setenv("COLUMNS", str(columns))
        assert main(["explore", "fork-races-gup-fast", "--without", "write_protect_seq"]) == 1
        assert main(["explore", "--list"]) == 0
        Line(10)(Progress(10**9, 10**9, 5, 10**9, 2.0, 1 << 40))
        BOARD.clear("explore")
        out, err = capsys.readouterr()
        assert max(map(len, out.splitlines())) <= columns
        assert max(len(line.rpartition("\x1b[K")[2]) for line in err.splitlines()) < columns
        said[columns] = [word for word in out.split() if not word[0].isdigit()]
    assert said[80] == said[120] == said[200]


def test_the_progress_line_is_gone_when_the_result_is_printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a terminal shows last is an empty line to write into."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    line = Line()
    line(Progress(10, 10, 5, 100, 2.0, 1 << 20))
    assert "10 states" in capsys.readouterr().err
    line.show("")
    assert capsys.readouterr().err == "\r\x1b[1A\x1b[J"


def test_a_scope_that_is_bad_at_once_is_told_so(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The set-up alone is the way to it, and the scenario."""
    file, found = tmp_path / "mine.toml", tmp_path / "found.pin"
    setup = '["map P x anon", "read P x", "pin P x as p longterm", "write P x 1"]'
    file.write_text(GOOD.replace('["map P x anon"]', f'{setup}\nrules = "6.1"'))
    assert main(["explore", "mine", "--file", str(file), "-o", str(found)]) == 1
    assert "After the set-up, before any step of a task, a long-term pin" in capsys.readouterr().out
    assert main(["run", str(found), "--on", "model:6.1"]) == 1


def test_what_no_byte_shows_is_a_scenario_of_a_small_machine(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same steps with their schedule and `expect sound`; and of a scenario that shows nothing that is said."""
    file = tmp_path / "found.pin"
    monkeypatch.setattr(story, "ending", lambda *_: ())
    assert main(["explore", "seed-shmem", "--rules", "6.1", "-o", str(file)]) == 1
    assert f"pinhold run {file} --on model:6.1 shows it." in capsys.readouterr().out
    assert "expect  sound" in file.read_text()
    assert main(["run", str(file), "--on", "model:6.1"]) == 1
    monkeypatch.setattr(story, "schedule", lambda *_: ())
    assert main(["explore", "seed-shmem", "--rules", "6.1", "-o", str(file)]) == 1
    assert "but does not show it: pinhold run" in capsys.readouterr().out
    assert "# shown by" not in file.read_text()


def test_a_decision_is_found_by_name(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Status 0, with the way there, also as a scenario that holds; 1 where it is not reachable, 2 where a limit ends
    the search."""
    file = tmp_path / "way.pin"
    assert main(["explore", "seed-shmem", "--find", "must_unshare_no_vma", "-o", str(file)]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "Found: must_unshare_no_vma, 7 steps from the start." in out
    assert "gup_must_unshare decides must_unshare_no_vma: " in out
    assert f"pinhold step {file} --on model:6.2 walks it." in out
    assert main(["run", str(file), "--on", "model:6.2"]) == 0
    assert main(["explore", "seed-shmem", "--find", "fast_fork_seen"]) == 1
    assert "Exhausted: fast_fork_seen is not reachable (" in capsys.readouterr().out
    assert main(["explore", "seed-shmem", "--find", "fast_fork_seen", "--depth", "3"]) == 2
    assert "Not found: fast_fork_seen, up to depth 3" in capsys.readouterr().out


def test_all_names_that_can_be_found_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """Decisions, properties and invariants, each with what it means."""
    assert main(["explore", "--find", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(goals())
    assert "a long-term pin no longer holds the page that its owner sees" in "\n".join(lines)


def test_a_scope_that_never_comes_to_what_it_is_there_for_fails(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Status 1 though nothing bad is reachable, and a failed test; under other rules than its own nothing is said."""
    file = tmp_path / "mine.toml"
    file.write_text(GOOD + 'reach = ["wp_reuse_exclusive"]\n')
    assert main(["explore", "mine", "--file", str(file)]) == 1
    assert "But it never decides what it is there for: wp_reuse_exclusive." in capsys.readouterr().out
    assert main(["explore", "mine", "--file", str(file), "--format", "junit"]) == 1
    assert 'message="never decides wp_reuse_exclusive"' in capsys.readouterr().out
    assert main(["explore", "mine", "--file", str(file), "--rules", "5.10"]) == 0


def test_a_limit_gives_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    """What lies deeper is not spoken of."""
    assert main(["explore", "seed-shmem", "--depth", "5"]) == 2
    assert "Not exhausted: the depth of 5 is reached. Nothing bad up to depth 5." in capsys.readouterr().out


def test_the_history_is_a_table_in_which_every_defect_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    """Status 0, a row each, nothing missing."""
    assert main(["explore", "--history", "--interpreted"]) == 0
    out = capsys.readouterr().out
    assert "Dirty COW, CVE-2016-5195 (19be0eaffa3a)" in out
    assert "NOT" not in out


def test_ones_own_scope(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A TOML file of one's own is searched like the library's."""
    file = tmp_path / "mine.toml"
    file.write_text(GOOD)
    assert main(["explore", "mine", "--file", str(file)]) == 0
    assert "Exhausted" in capsys.readouterr().out


REFUSED = {
    "a word that no scope has": ("pages", "wages = 3\n#", "no scope has 'wages'"),
    "a text for a list": ('["map P x anon"]', '"map P x anon"', "'setup' is a list of steps"),
    "a size that there is not": ('"small"', '"tiny"', "size is one of small, medium, large"),
    "an operation that is none": ("write P x 1", "expect P x 1", "is no operation"),
    "a process that nobody forks": ("write P x 1", "write Q x 1", "no Q x in this scope"),
    "a step that cannot be parsed": ("write P x 1", "wrte P x 1", "did you mean"),
    "a set-up that does not fit": ("map P x anon", "map P x anon pages 4000", "address space"),
    "a mechanism of a kernel's": ("write P x 1", "pin P x as p via gup_test", "no pin mechanism gup_test"),
    "a decision that there is not": ("[mine]", '[mine]\nreach = ["wp_reuse"]', "did you mean wp_reuse_"),
    "a task whose name is no word": ("tasks.t", 'tasks."t-1"', "a task's name is letters, digits and _"),
    "a pool of a pin that no step takes": ("[mine]", "[mine]\npools = { p = 2 }", "mine: pools: no step takes a pin p"),
    "a pool of too many": (
        '"write P x 1"]',
        '"pin P x as p"]\npools = { p = 9 }',
        "mine: pools: of a pin there may be 1 to 8 at once, not 9 (p)",
    ),
    "too many frames": ("[mine]", "[mine]\npages = 4000", "pages is a whole number from 0 to 60"),
    "a THP without frames of its size": (
        "map P x anon",
        "map P x thp",
        "'map P x thp' needs a machine with levels 2 and",
    ),
    "the huge zero page at one level": ("map P x anon", "map P x hugezero", "needs a machine with levels 2 and thps 1"),
    "advice for THPs": ("write P x 1", "madvise P x hugepage", "needs a machine with levels 2 and thps 1"),
    "THPs switched on without frames": ("[mine]", "[mine]\nlevels = 2\nconfig = { thp = 1 }", "needs thps 1 for thp 1"),
    "THPs at one level": ("[mine]", "[mine]\nthps = 1", "mine: the machine needs levels 2 for thps 1"),
    "hugetlb at one level": ("[mine]", "[mine]\nhugetlb = 2", "mine: the machine needs levels 2 for hugetlb 2"),
    "hugetlb without a pool": ("P x anon", "P x hugetlb 2M", "needs a machine with levels 2 and hugetlb 1"),
    "a gigantic page": ("P x anon", "P x memfd_hugetlb 1G", "needs a machine with levels 3, which none has"),
    "swapping out to nowhere": ("write P x 1", "swapout P x", "needs a machine with swap 1"),
    "a set-up that needs more frames": (
        '["map P x anon"]',
        '["map P x anon", "write P x 1"]\npages = 0',
        "set-up: write P x 0x01: the small machine is too small: it has no more page frames; 'pages N' makes more",
    ),
    "tasks that need more frames": (
        "[mine]",
        "[mine]\npages = 0",
        "the scope is too small: it has no more page frames",
    ),
    "more content than tokens": ("[mine]", "[mine]\ncontent = true\npages = 60\nswap = 9", "are under 64 together"),
    "a byte that is no token": (
        '["map P x anon"]',
        '["map P x anon", "write P x 64"]\ncontent = true',
        "with content, bytes are under 64",
    ),
    "UFFDIO_CONTINUE of hugetlb": (
        '["map P x anon"]\ntasks.t = ["write P x 1"]',
        '["map P x memfd_hugetlb 2M"]\ntasks.t = ["uffdio_continue P x"]\nlevels = 2\nhugetlb = 2',
        "shmem (memfd) alone, not for hugetlb",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_scope_that_cannot_be_meant_is_refused_in_a_line(
    case: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Status 3, and one line that names the scope and what is wrong."""
    old, new, message = REFUSED[case]
    file = tmp_path / "mine.toml"
    text = GOOD.replace(old, new) if old in GOOD else GOOD + new
    file.write_text(text)
    assert main(["explore", "mine", "--file", str(file)]) == 3
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "names no scope"),
        (["seed-shmen"], "did you mean seed-shmem?"),
        (["seed-shmem", "--without", "gup_unshare"], "did you mean gup_unshares?"),
        (["seed-shmem", "--without", "gup_unshares=x"], "is one of none, anon, cow_longterm"),
        (["seed-shmem", "--find", "must_unshare_cow"], "or must_unshare_cow_mapping?"),
        (["seed-shmem", "--find", "x"], "--find list tells all"),
        (["seed-shmem", "--find", "stuck", "--checkpoint", "x"], "--find goes without --checkpoint"),
        (["seed-shmem", "--rules", "9.9"], "no rules for 9.9"),
        (["x", "--file", "/nonexistent"], "cannot read '/nonexistent': No such file"),
        (["x", "--file", "/dev/zero"], "cannot read '/dev/zero': it is no ordinary file"),
        (["seed-shmem", "--time", "0"], "is not a number from 1 on"),
        (["seed-shmem", "shmem-cow", "-o", "x.pin"], "are of one scope"),
        (["seed-shmem", "shmem-cow", "--checkpoint", "x"], "are of one scope"),
        (["seed-shmem", "shmem-cow", "--html", "x.html"], "are of one scope"),
        (["seed-shmem", "seed-shmen"], "did you mean seed-shmem?"),
    ],
)
def test_wrong_use_is_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 3, the thing named, and the nearest that there is."""
    assert main(["explore", *arguments]) == 3
    assert message in capsys.readouterr().err
