"""All outcomes of a scope: told once each, counted, and compared between releases."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from naive import every_state, machine, successors
from pinhold.cli import main
from pinhold.explore.outcomes import Observing, outcomes
from pinhold.explore.scope import library
from pinhold.explore.world import World, world
from pinhold.mm import releases
from pinhold.mm.flags import PFN_SHIFT, PIN_LIVE, ZERO_PFN
from pinhold.mm.folio import folio_test_anon


def ready(name: str, rules: str) -> World:
    return world(library()[name], releases.row(rules))


def by_hand(made: World) -> Counter[tuple[str, str]]:
    """Of seed-shmem: what P x and the pin are in each state at rest, by a set of states and nothing else."""
    seen, waiting = set[bytes](), [made.machine.saved()]
    found: Counter[tuple[str, str]] = Counter()
    while waiting:
        state = waiting.pop()
        if state in seen:
            continue
        seen.add(state)
        m = machine(made, state)
        if not any(m.task_depth):
            (start, _), *_ = made.regions.values()
            entry = m.pte[start]
            mapped = entry >> PFN_SHIFT if entry else None
            pinned = m.run_page[0] if m.pin_state[0] == PIN_LIVE else None
            letters: dict[int, str] = {}
            told = []
            for page in (mapped, pinned):
                if page is None:
                    told.append("-")
                elif folio_test_anon(m, page):
                    told.append(letters.setdefault(page, "AB"[len(letters)]))
                else:
                    told.append("zero" if page == ZERO_PFN else "file")
            found[told[0], told[1]] += 1
        waiting += successors(made, state)
    assert len(seen) == sum(every_state(made).levels)
    return found


@pytest.mark.parametrize("rules", ["6.1", "6.2"])
def test_the_plainest_search_sees_the_same_outcomes(rules: str) -> None:
    """Each with as many states, where frames are told apart."""
    made = ready("seed-shmem", rules)
    stepper = Observing(made, symmetric=False)
    waiting, seen = [stepper.first()], set[bytes]()
    while waiting:
        state = waiting.pop()
        if state not in seen:
            seen.add(state)
            waiting += [after for _, after in list(stepper.successors(state))]
    assert stepper.seen.states == by_hand(made)


def test_symmetry_loses_no_outcome() -> None:
    """The outcomes are the same where renamed frames are one state; the states are fewer."""
    made = ready("fork-loses-pin", "6.2")
    plain, symmetric = Observing(made, symmetric=False), Observing(made)
    for stepper in (plain, symmetric):
        waiting, seen = [stepper.first()], set[bytes]()
        while waiting:
            state = waiting.pop()
            if state not in seen:
                seen.add(state)
                waiting += [after for _, after in list(stepper.successors(state))]
    assert set(plain.seen.states) == set(symmetric.seen.states)
    assert sum(plain.seen.states.values()) > sum(symmetric.seen.states.values())


def test_calls_come_to_what_they_come_to() -> None:
    """A mapping that may not be written makes the access fail; the counts are of transitions."""
    _, found = outcomes(ready("mprotect-loses-pin", "6.2"))
    results = {(function, said) for _, function, said in found.calls}
    assert ("pin_user_pages", "EFAULT") in results and ("pin_user_pages", "ok") in results


def test_what_a_release_alone_allows_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Status 1 and the stale pin's outcomes, which 6.2 has not; of one release status 0; a record of each."""
    assert main(["explore", "seed-shmem", "--outcomes", "--rules", "6.1", "--rules", "6.2"]) == 1
    out = capsys.readouterr().out
    assert "A     file   1    .\n" in out
    assert "Only 6.1 allows: P x = A, pin p = file; P x = file, pin p = file.\n" in out
    assert "Only 6.2 allows: nothing.\n" in out
    assert main(["explore", "seed-shmem", "--outcomes"]) == 0
    assert "Only" not in capsys.readouterr().out
    assert main(["explore", "seed-shmem", "--outcomes", "--depth", "3"]) == 2
    assert "not all of it: the depth of 3 is reached" in capsys.readouterr().out
    file = tmp_path / "outcomes.json"
    arguments = ["explore", "seed-shmem", "--outcomes", "--rules", "6.1", "--format", "json", "-o", str(file)]
    assert main(arguments) == 0
    (record,) = [line for line in map(json.loads, file.read_text().splitlines()) if line["line"] == "search"]
    assert record["asked"] == "outcomes"
    assert ["P x = A, pin p = file", 1] in record["outcomes"]
    assert main(["show", str(file)]) == 0


@pytest.mark.parametrize("option", [["--compiled"], ["--checkpoint", "x"], ["--html", "x"], ["-o", "x"]])
def test_what_does_not_go_with_outcomes_is_refused(option: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Status 3 and a line."""
    assert main(["explore", "seed-shmem", "--outcomes", *option]) == 3
    assert "--outcomes" in capsys.readouterr().err


def test_outcomes_are_tests_for_continuous_integration(capsys: pytest.CaptureFixture[str]) -> None:
    """Each search one, and beside another release each release one, which fails where it alone allows something; where
    a limit ended a search that search is an error, and nothing is compared."""
    command = ["explore", "seed-shmem", "--outcomes", "--rules", "6.1", "--rules", "6.2", "--format", "junit"]
    assert main(command) == 1
    (suite,) = ET.fromstring(capsys.readouterr().out)
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("4", "1", "0")
    only = [case for case in suite if case.get("name") == "seed-shmem outcomes of this release alone"]
    assert [case.get("classname") for case in only] == ["model:6.1", "model:6.2"]
    (failure,) = suite.iter("failure")
    assert failure in only[0]
    assert failure.get("message") == "P x = A, pin p = file; P x = file, pin p = file"
    assert main([*command, "--depth", "3"]) == 2
    (suite,) = ET.fromstring(capsys.readouterr().out)
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "0", "2")
