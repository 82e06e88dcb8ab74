"""Whoever has a test skipped is told what it would take."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from fakes import FakeTarget
from pinhold.cli import _parse, main
from pinhold.commands import registry
from pinhold.commands.docs import pages
from pinhold.lab.qemu import HOW_TO_GET
from pinhold.report.listener import NOT_RUN
from pinhold.report.remedies import OWN, REMEDIES, remedy
from pinhold.scenario import steps
from pinhold.scenario.steps import Require
from pinhold.scenario.suites import SUITES, suite
from pinhold.system.foreseen import by_configuration
from pinhold.system.foreseen import reasons as foreseen
from pinhold.system.needs import ALLOWABLE
from pinhold.targets.live.kconfig import OPTIONS

SOURCE = Path(__file__).parents[2] / "src"
REFUSALS = {"CannotDo", "Unavailable"}
"""Whose words become the reason of a skip."""

TELLERS = {"unavailable", "_why_not", "without", "requirement"}
"""Functions that give such words, beside those called missing…"""

ANY = "X"
"""What the words of a reason have in the place of a value."""

NO_SKIP = ("there is no cgroup", "this user cannot make a cgroup", "this cgroup ", "a guest runs whole scenarios")
"""Words of the same functions that skip nothing."""

COMPOSED = {
    "needs X: X": "needs MADV_COLLAPSE: this kernel has none (it came with 6.1)",
    "no X here: X": "no /sys/kernel/debug/gup_test here: this kernel was built without CONFIG_GUP_TEST",
    "no X here": "no /dev/pinprobe here",
    "needs a X: X": "needs a R/O long-term pin: no edu device (QEMU's) here; no /dev/pinprobe here",
    "X cannot X": "exec:./mydriver cannot pin THPs",
}
"""Reasons that are almost nothing but what is put into them, with an example of each."""


def words(node: ast.expr, module: ModuleType) -> list[str]:
    """All that an expression may say, as far as it is written there."""
    if isinstance(node, ast.IfExp):
        node = ast.BoolOp(ast.Or(), [node.body, node.orelse])
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.Name(id=name):
            return [value for value in [getattr(module, name, None)] if isinstance(value, str)]
        case ast.BoolOp(values=values):
            return [text for value in values for text in words(value, module)]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return [a + b for a in words(left, module) or [ANY] for b in words(right, module) or [ANY]]
        case ast.JoinedStr(values=values):
            return joined(values, module)
        case _:
            return []


def joined(values: list[ast.expr], module: ModuleType) -> list[str]:
    """The same, of what stands in an f-string; a name in it is a value."""
    said = [""]
    for value in values:
        inner = value.value if isinstance(value, ast.FormattedValue) else value
        plain = [ANY] if isinstance(inner, ast.Name) else words(inner, module)
        said = [a + b for a in said for b in plain or [ANY]]
    return said


def told(file: Path) -> Iterator[str]:
    """The reasons that a module of a target writes."""
    module = importlib.import_module(".".join(file.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"))
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case ast.Call(func=ast.Name(id=name), args=[text, *_]) if name in REFUSALS:
                yield from words(text, module)
            case ast.FunctionDef(name=name) if name in TELLERS or name.startswith("missing"):
                for each in ast.walk(node):
                    if isinstance(each, ast.Return) and each.value is not None:
                        yield from words(each.value, module)


def reasons() -> set[str]:
    """Of targets, of steps that fail, and of what suites require."""
    files = [*(SOURCE / "pinhold/targets").rglob("*.py"), *(SOURCE / "pinhold/lab").glob("*.py")]
    found = {text for file in files for text in told(file)}
    for step in vars(steps).values():
        if inspect.isclass(step) and hasattr(step, "meets"):
            found |= {f"step: {why} ({errno})" for why, errno in _met(step)}
    tests = (test.scenario for name in SUITES for test in suite(name).tests)
    found |= {step.text for scenario in tests for step in scenario.steps if isinstance(step, Require) and step.text}
    found |= {NOT_RUN, "1 GiB pages are left out (--without 1G)"}
    found |= {"1 GiB pages are left out on this target; with --on it has them"}
    found = {COMPOSED.get(text, text) for text in found}
    return {text for text in found if text.strip(f"{ANY} :;") and not text.startswith(NO_SKIP)}


def _met(step: type) -> Iterator[tuple[str, str]]:
    meets = step.meets
    yield from ((why, errno) for table in (meets.refused, meets.declined) for errno, why in table.items())


REASONS = sorted(reasons())


def test_the_reasons_are_found() -> None:
    """Of targets, steps and suites; those of a model, of a kernel, of a mechanism and of a limit among them."""
    assert len(REASONS) > 100
    for known in (
        "needs swap: none is configured here",
        "no edu device (QEMU's) here",
        "step: not with such memory on this kernel (EINVAL)",
    ):
        assert known in REASONS
    assert "MADV_PAGEOUT did not work, is swap enabled?" in REASONS


@pytest.mark.parametrize("target", ["live", "vm:6.12", "model:6.12"])
def test_each_reason_has_its_next_step(target: str) -> None:
    """On this machine, in a guest, and on a model."""
    assert [reason for reason in REASONS if not remedy(reason, target)] == []


def test_each_remedy_is_one_of_a_reason() -> None:
    """None is left of a reason that is no more; some are of what the kernel says, the lab, doctor."""
    forced = "this kernel forces no writes through /proc/PID/mem (proc_mem.force_override): Operation not permitted"
    kvm = "/dev/kvm cannot be used: QEMU emulates, slowly"
    said = [*REASONS, forced, kvm, "there is no kernel 6.12 here; pinhold kernels fetch 6.12"]
    assert [each.reason for each in REMEDIES if not any(re.search(each.reason, reason) for reason in said)] == []


@pytest.mark.parametrize(
    ("reason", "target", "step"),
    [
        ("needs 2 free hugepages of 2 MiB: the pool has 0 free of 0 here", "live", "as root: --allow-change hugepages"),
        ("needs swap: this kernel was built without CONFIG_SWAP", "vm:own", f"{OWN}"),
        ("needs transparent huge pages: /sys/…/enabled is never here", "live", "as root: --allow-change thp"),
        ("the frame of P x[0] cannot be seen", "live", "run it as root"),
        ("io_uring is switched off here (kernel.io_uring_disabled is 2)", "live", "sysctl kernel.io_uring_disabled=0"),
        (COMPOSED["needs a X: X"], "live", "in a guest VFIO and pinprobe take such pins: --on vm:6.12"),
        (COMPOSED["needs a X: X"], "vm:own", "pinhold kernels module IMAGE builds it for a kernel of yours"),
        ("needs a held pin: there is no pinprobe for this kernel", "vm:own", "pinhold kernels module IMAGE"),
        ("gup_test of this kernel takes no long-term pins that last: it is older than 6.2", "vm:own", f"{OWN}: VFIO"),
        (COMPOSED["no X here: X"], "vm:own", f"{OWN}: GUP_TEST"),
        ("no IOMMU here", "vm:own", f"{OWN}: VFIO"),
        (f"vm: targets need qemu-system-x86_64, which is not here: {HOW_TO_GET}", "live", "install qemu-system-x86"),
        ("CONFIG_ZRAM is a module of this kernel that is not loaded: zram", "live", "as root: modprobe zram"),
        ("needs MADV_COLLAPSE: this kernel has none (it came with 6.1)", "live", "a kernel from 6.1 on: --on vm:6.12"),
    ],
)
def test_the_step_is_the_one_that_helps(reason: str, target: str, step: str) -> None:
    """Not only some step: of those that one meets most, the right one."""
    assert step in (remedy(reason, target) or "")


def test_what_a_step_names_exists() -> None:
    """Changes that can be allowed, commands, options of `run`, pages of the book."""
    for words in (text for each in REMEDIES for text in (each.step, each.elsewhere)):
        for area in re.findall(r"--allow-change (\w+)", words):
            assert area in ALLOWABLE
        for command in re.findall(r"pinhold (kernels \w+|docs \w+|step)", words):
            rest = {"kernels fetch": ["6.12"], "kernels module": ["IMAGE"], "step": ["seed/1", "--on", "live"]}.get(
                command, []
            )
            assert _parse([*command.split(), *rest])
            assert not command.startswith("docs ") or command.split()[1] in pages()
        for option in re.findall(r"--(?:on|swap|without|allow-change|module) [\w:.]+", words):
            assert _parse(["run", "seed", *option.split()])


@pytest.mark.parametrize("release", ["6.1.192", "6.12.117"])
def test_each_reason_that_doctor_foresees_has_its_next_step(release: str) -> None:
    """Of a kernel that lacks everything, and of one of which nothing is known but that it has no pinprobe."""
    bare = by_configuration(dict.fromkeys(OPTIONS, "n"), release, False, False)
    for lacks in (bare, by_configuration({}, release, False, False)):
        found = {why for name in SUITES for t in suite(name).tests for why in foreseen(t.scenario, lacks, release)}
        assert found
        assert [reason for reason in found if not remedy(reason, "vm:")] == []


@pytest.mark.parametrize("form", ["ktap", "junit", "table"])
def test_each_report_has_it(form: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A line of its own in KTAP, where no parser makes it a name, and in what JUnit's test said."""
    unable = FakeTarget("unable", refusal="needs swap: none is configured here")
    monkeypatch.setitem(registry._FACTORIES, "unable", lambda _rest, _properties: unable)
    for test in ("seed/151", "stock/1"):
        main(["run", test, "--on", "unable", "--format", form])
        out = capsys.readouterr().out
        before = {"ktap": "# -> ", "junit": "what it would take: ", "table": "-> "}[form]
        assert f"{before}as root: --allow-change swap\n" in out.replace("&gt;", ">")


def test_the_table_has_it_below_the_reason(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Behind the note that a verdict's letter points to."""
    unable = FakeTarget("unable", refusal="needs swap: none is configured here")
    monkeypatch.setitem(registry._FACTORIES, "unable", lambda _rest, _properties: unable)
    assert main(["run", "seed/151", "--on", "model:6.1", "--on", "unable"]) == 1
    out = capsys.readouterr().out
    assert "needs swap: none is configured here (test 151)\n    -> as root: --allow-change swap\n" in out
