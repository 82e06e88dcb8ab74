"""The seed's patch as a user's file, and what an unshare fault breaks beside it, on Linux 6.1, which has neither.

Kernels that were built so did the same: without the patches ten tests of the suite are violated, with the first alone
those that are not of hugetlb loop, with both all hold.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

from pinhold.cli import main
from pinhold.commands.select import select
from pinhold.commands.workers import in_workers
from pinhold.compiler.patch import patched
from pinhold.conform.campaign import Campaign, Limits, Plan
from pinhold.conform.wanted import wanted
from pinhold.scenario.ran import TargetInfo
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.runner import run_scenario

PATCHED = Path(__file__).parents[2] / "examples" / "patches"
ASKS, BREAKS = (str(PATCHED / name) for name in ("gup_must_unshare.py", "do_wp_page.py"))
WITHOUT, HALF, BOTH = [], ["--with", ASKS], ["--with", ASKS, "--with", BREAKS]
TWELVE = [test.scenario for test in select(["seed/151-162"])]


def verdicts() -> Counter[str]:
    """Of the seed's twelve tests on 6.1."""
    return Counter(run_scenario(ModelTarget("6.1"), scenario).verdict.kind for scenario in TWELVE)


def test_the_seed_as_a_patch_of_6_1() -> None:
    """All twelve are violated; with the seed alone eight loop, as a fault does not break what GUP asks it to; with what
    faults break all hold; and all are violated again."""
    assert verdicts() == {"violated": 12}
    with patched([ASKS]):
        assert verdicts() == {"livelock": 8, "held": 4}
    with patched([ASKS, BREAKS]):
        assert verdicts() == {"held": 12}
    assert verdicts() == {"violated": 12}


@pytest.mark.parametrize(
    ("words", "status", "said"), [(WITHOUT, 1, "VIOLATED"), (HALF, 1, "LIVELOCK"), (BOTH, 0, "held")]
)
def test_run(words: list[str], status: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`pinhold run`: the verdict, and what its last line calls the model."""
    assert main(["run", "seed/151", "--on", "model:6.1", *words]) == status
    out = capsys.readouterr().out
    name = "".join(f",with={Path(word).name}" for word in words[1::2])
    assert said in out and f"\nmodel:6.1{name}: 1 {said.lower()} in " in out


def test_compare_and_step(capsys: pytest.CaptureFixture[str]) -> None:
    """6.1 with both patches is 6.2 in these tests, in every value; with the seed alone they part at the pin."""
    assert main(["compare", "model:6.1", "model:6.2", "seed/151-153", *BOTH]) == 0
    assert main(["step", "seed/151", "--on", "model:6.1", "--on", "model:6.2", *HALF]) == 1
    assert "do_wp_page: the page is not anonymous, so unsharing leaves it as it is" in capsys.readouterr().out


def test_check(capsys: pytest.CaptureFixture[str]) -> None:
    """The columns are called patched, and no rule predicts what they show."""
    assert main(["check", "--on", "model:6.1", "--without", "1G", *BOTH]) == 0
    out = capsys.readouterr().out
    assert "  patched\n" in out and "Of the seed's twelve: 10 held" in out and "Nothing was predicted." in out


def test_ask(capsys: pytest.CaptureFixture[str]) -> None:
    """Workers compute with the patches; the answer names them, in JSON by their digests."""
    assert main(["ask", "FOLL_LONGTERM", "--on", "model:6.1", *BOTH]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "Reliable wherever it pins on 6.1" in out and "STALE" not in out
    assert "gup_must_unshare of gup_must_unshare.py; do_wp_page of do_wp_page.py." in out
    assert main(["ask", "FOLL_LONGTERM", "--on", "model:6.1", "--format", "json", *BOTH]) == 0
    assert list(json.loads(capsys.readouterr().out)["patches"]) == ["gup_must_unshare.py", "do_wp_page.py"]
    assert main(["ask", "FOLL_LONGTERM", "--on", "model:6.1"]) == 0
    assert "Not reliable in 7 of 23 rows on 6.1" in capsys.readouterr().out


def test_explore(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """What is found in 6.1 is not reachable with both; the summary and the run file name them, and a scenario of what
    is found says how it is shown."""
    scope = ["explore", "seed-shmem", "--rules", "6.1", "--interpreted"]
    assert main([*scope, *BOTH]) == 0
    out = capsys.readouterr().out
    assert "under the rules of 6.1 with gup_must_unshare.py and do_wp_page.py: 478 states, 1,112 transitions" in out
    file = tmp_path / "run.json"
    assert main([*scope, *BOTH, "--format", "json", "-o", str(file)]) == 0
    (search,) = (line for line in map(json.loads, file.read_text().splitlines()) if line["line"] == "search")
    assert list(search["patches"]) == ["gup_must_unshare.py", "do_wp_page.py"]
    found = tmp_path / "found.pin"
    assert main([*scope, "--with", BREAKS, "-o", str(found)]) == 1
    assert f"# shown by: --on model:6.1 --with {BREAKS}\n" in found.read_text()
    assert f"--on model:6.1 --with {BREAKS} shows it." in " ".join(capsys.readouterr().out.split())


def test_questions_to_the_explorer(capsys: pytest.CaptureFixture[str]) -> None:
    """The seed alone goes round for ever, and names the step that does not break COW; with both every operation ends,
    and what can be seen is what 6.2 shows.  What a scope has to reach is asked of mm/'s own functions alone."""
    scope = ["explore", "seed-shmem", "--interpreted"]
    assert main([*scope, "--rules", "6.1", "--livelock", *HALF]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "operations go round for ever" in out and "[unshare_breaks]" in out
    assert "In the place of mm/'s: gup_must_unshare of gup_must_unshare.py." in out
    assert main([*scope, "--rules", "6.1", "--livelock", *BOTH]) == 0
    assert main([*scope, *BOTH]) == 0
    assert "never decides" not in capsys.readouterr().out
    assert main(["explore", "seed-shmem", "--outcomes", "--rules", "6.1", "--rules", "6.2", *BOTH]) == 0
    assert "seed-shmem with gup_must_unshare.py and do_wp_page.py: what can be seen" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.xdist_group("compiled")
def test_explore_compiled(capsys: pytest.CaptureFixture[str]) -> None:
    """Compiled, a search with patches comes to the same, and leaves nothing stale to the next one without."""
    scope = ["explore", "seed-shmem", "--rules", "6.1", "--compiled"]
    for words, status, states in ((BOTH, 0, "478 states, 1,112"), (WITHOUT, 1, "245 states"), (BOTH, 0, "478 states")):
        assert main([*scope, *words]) == status
        assert states in capsys.readouterr().out


def kind(scenario: int) -> str:
    return run_scenario(ModelTarget("6.1"), TWELVE[scenario]).verdict.kind


def test_worker_processes_have_the_patches() -> None:
    """Those by which a run and `ask` compute beside each other."""
    with patched([ASKS]):
        assert list(in_workers(kind, [0, 4], lambda _: "died")) == ["livelock", "held"]


def differences() -> int:
    """Of a kernel that has what the patches bring, beside the model of 6.1, in random scenarios."""
    model = ModelTarget("6.1")
    profiles = [wanted("file", model, disposable=True)]

    def begin(_: TargetInfo) -> tuple[ModelTarget, Sequence[object]]:
        return model, profiles

    changed = {"gup_unshares": "cow_longterm", "unshare_breaks": "cow_mapping"}
    run = Campaign([Plan("it", partial(ModelTarget, "6.1", switches=changed), begin)], Limits(1, 300), 1)
    run.run()
    (ran,) = run.ran
    assert ran.ended == []
    return len(ran.tally.differences)


def test_conform() -> None:
    """Random scenarios part a kernel that has both changes from the model of 6.1, and with the patches none does."""
    assert differences() > 0
    with patched([ASKS, BREAKS]):
        assert differences() == 0
