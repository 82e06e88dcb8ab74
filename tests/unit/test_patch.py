"""`--with FILE.py`: functions of a user's in the place of mm/'s; what is refused, and what is left as it was."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pinhold import trust
from pinhold.cli import main
from pinhold.compiler.cache import sources
from pinhold.compiler.patch import patched
from pinhold.compiler.source import definition
from pinhold.mm import coalesce, follow, huge_memory
from pinhold.mm.kernel import PATCHES, REGISTRY, Part
from pinhold.targets.model.target import ModelTarget

Write = Callable[..., str]
PATCHED = Path(__file__).parents[2] / "examples" / "patches"
SIGNATURE = "def gup_must_unshare(m: State, vma: int, flags: int, page: int) -> bool:"
NEVER = f"@kernel\n{SIGNATURE}\n    return False\n"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Makes a file of that text, and gives its path."""

    def made(text: str, name: str = "mine.py") -> str:
        file = tmp_path / name
        file.write_text(text)
        return str(file)

    return made


REFUSED = {
    "def f(:": "1: not Python: ",
    "x = '\0'": "not Python: ",
    "": "it has no @kernel function",
    "LIMIT = 3\n": "it has no @kernel function",
    NEVER.replace("gup_must_unshare", "gup_must_unsher"): (
        "2: mm/ has no function gup_must_unsher: did you mean gup_must_unshare?"
    ),
    NEVER.replace("flags: int, ", ""): (
        "2: gup_must_unshare(m: State, vma: int, page: int) -> bool does not fit: in mm/follow.py it is "
        "gup_must_unshare(m: State, vma: int, flags: int, page: int) -> bool"
    ),
    NEVER.replace("-> bool", "-> int"): "-> int does not fit: in mm/follow.py",
    NEVER.replace("return False", "return vma in [1]"): "3: gup_must_unshare: ",
    NEVER.replace("return False", "return open('/etc/passwd')"): "3: gup_must_unshare: ",
    NEVER.replace("return False", "return m.no_such_field[vma] > 0"): "3: gup_must_unshare: ",
    NEVER.replace("return False", "return gup_must_unshare(m, vma, flags, page)"): "gup_must_unshare: it calls itself",
    NEVER.removeprefix("@kernel\n"): "1: gup_must_unshare: @kernel, and nothing else, marks a function",
    NEVER.replace("@kernel", "@kernel(needs=1 / 0)"): "gup_must_unshare: @kernel, and nothing else, marks a function",
    NEVER.replace("page: int", "page: int = exit()"): "2: gup_must_unshare: it has default arguments",
    NEVER + NEVER: "5: gup_must_unshare: it is there twice",
    f"import os\n{NEVER}": "1: imports are of functions and numbers of mm/",
    f"from os import system\n{NEVER}": "1: os is not of mm/, of which alone such a file imports",
    f"from pinhold.targets.live import helper\n{NEVER}": "1: pinhold.targets.live is not of mm/",
    f"from .flags import FOLL_PIN\n{NEVER}": "1: .flags is not of mm/",
    f"from pinhold.mm.flag import FOLL_PIN\n{NEVER}": "1: there is no pinhold.mm.flag",
    f"from pinhold.mm.flags import FOLL_PINS\n{NEVER}": "has no FOLL_PINS: did you mean FOLL_PIN?",
    f"from pinhold.mm.kernel import importlib as kernel\n{NEVER}": "@kernel, and nothing else, marks a function",
    f"print('run')\n{NEVER}": "1: beside imports, constants and @kernel functions nothing stands in such a file",
    f"NO_VMA = 7\n{NEVER.replace('False', 'vma == NO_VMA')}": "4: NO_VMA means something else in mm/follow.py",
}


@pytest.mark.parametrize("text", REFUSED, ids=range(len(REFUSED)))
def test_what_cannot_stand_in_is_refused_by_file_and_line(
    text: str, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 3 and one line; nothing of the file is run, and nothing is replaced."""
    file = write(text)
    before = follow.gup_must_unshare.__code__
    assert main(["run", "seed/151", "--on", "model:6.1", "--with", file]) == 3
    out, err = capsys.readouterr()
    assert out == "" and err.startswith(f"pinhold: {file}:") and err.count("\n") == 1
    assert REFUSED[text] in err
    assert follow.gup_must_unshare.__code__ is before and PATCHES == []


def test_a_file_that_is_none_or_cannot_be_named_is_refused(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that is not there, a directory, one whose name results cannot have."""
    odd = write(NEVER, "a,b=c.py")
    for path, why in (("absent.py", "No such file"), (str(tmp_path), "this is no file"), (odd, "letters, digits")):
        assert main(["run", "seed/151", "--on", "model:6.1", "--with", path]) == 3
        assert why in capsys.readouterr().err


def test_two_files_do_not_replace_the_same_function(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    """The second is refused with the first one's name."""
    one, two = write(NEVER, "one.py"), write(NEVER, "two.py")
    assert main(["run", "seed/151", "--on", "model:6.1", "--with", one, "--with", two]) == 3
    assert f"{two}:2: gup_must_unshare is replaced by {one} already" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_root_takes_no_function_that_others_can_change(
    write: Write, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of somebody else's, as root."""
    monkeypatch.setattr(trust, "_SEARCH", 0o400)  # as if pytest's own directory were open to all
    file = write(NEVER)
    os.chown(file, 4321, 4321)
    assert main(["run", "seed/151", "--on", "model:6.1", "--with", file]) == 3
    assert f"{file}: root takes no functions from it, as {file} belongs to user 4321" in capsys.readouterr().err


def test_what_is_replaced_is_put_back_with_all_that_was_known_of_it() -> None:
    """Code, marks, names that were added, the digest of sources by which compiled code is kept, and a model's name."""
    function, rooms = follow.gup_must_unshare, frozenset({"pinhold.mm"})
    code, marks, names, kept = function.__code__, dict(REGISTRY), set(vars(follow)), sources(rooms)
    with patched([str(PATCHED / "gup_must_unshare.py")]):
        assert function.__code__ is not code and sources(rooms) != kept
        assert definition(function).lineno < 20
        assert ModelTarget("6.1").name == "model:6.1,with=gup_must_unshare.py"
        assert "with gup_must_unshare.py" in ModelTarget("6.1").info().config
    assert function.__code__ is code and marks == REGISTRY and set(vars(follow)) == names and sources(rooms) == kept
    assert definition(function).lineno > 60
    assert ModelTarget("6.1").name == "model:6.1"


COALESCED = """
@kernel
def runs_coalesce(m: State, pin: int) -> bool:
    return True

@kernel
def split_folio(m: State, folio: int) -> bool:
    return False
"""


def test_what_is_said_of_results_is_not_taken_for_known_of_others(write: Write) -> None:
    """What a caller of a replaced function comes to without a part of the machine has to be computed; what a replaced
    one needs to be entered stays."""
    caller, needs = coalesce.pin_coalesced, REGISTRY[huge_memory.split_folio]
    assert REGISTRY[caller].without and needs.needs is Part.LARGE
    with patched([write(COALESCED)]):
        assert not REGISTRY[caller].without and REGISTRY[huge_memory.split_folio].needs is Part.LARGE
    assert REGISTRY[caller].without and REGISTRY[huge_memory.split_folio] == needs


def test_an_error_within_a_function_is_told_by_file_and_line(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    """An index beyond its array is an error of the test, and of a search a word on the way out: no traceback."""
    file = write(NEVER.replace("return False", "return m.vma_flags[123456] > 0"))
    assert main(["step", "seed/151", "--on", "model:6.1", "--with", file]) == 5
    assert f"error: {file}:3: gup_must_unshare left its bounds: " in capsys.readouterr().out
    assert main(["explore", "seed-zero", "--interpreted", "--with", file]) == 3
    assert f"pinhold: {file}:3: gup_must_unshare: " in capsys.readouterr().err


@pytest.mark.parametrize("command", [("run", "seed/151", "--on"), ("step", "seed/151", "--on"), ("compare", "live")])
def test_without_a_model_there_is_nothing_to_patch(command: tuple[str, ...], write: Write) -> None:
    """Status 3 where no target is a model."""
    assert main([*command, "live", "--with", write(NEVER)]) == 3


def test_a_name_in_results_is_no_target(capsys: pytest.CaptureFixture[str]) -> None:
    """What results call a patched model cannot be given as a target without the file."""
    assert main(["run", "seed/151", "--on", "model:6.1,with=mine.py"]) == 3
    assert "give that, with the file's path" in capsys.readouterr().err


def test_run_files_tell_what_was_replaced(capsys: pytest.CaptureFixture[str]) -> None:
    """The target's name, its configuration with the file's digest, and so the configuration's hash."""

    def target(*words: str) -> dict[str, Any]:
        main(["run", "seed/151", "--on", "model:6.1", "--format", "json", *words])
        lines = map(json.loads, capsys.readouterr().out.splitlines())
        return next(line for line in lines if line["line"] == "target")

    plain, other = target(), target("--with", str(PATCHED / "gup_must_unshare.py"))
    assert other["name"] == "model:6.1,with=gup_must_unshare.py"
    assert other["config_hash"] != plain["config_hash"]
    assert set(other["config"]) - set(plain["config"]) == {"with gup_must_unshare.py"}
