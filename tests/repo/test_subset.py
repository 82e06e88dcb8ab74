"""The specification keeps to the subset that compiles, and uses every rule and every decision site that it declares."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import pinhold.mm
from kernels import function, written
from pinhold.compiler.source import kernels
from pinhold.compiler.subset import OutsideSubset, check
from pinhold.explore import searched  # noqa: F401  # its functions of the subset are registered
from pinhold.explore.record import SearchState
from pinhold.mm import rules, sites
from pinhold.mm.kernel import REGISTRY
from pinhold.mm.state import SITES_MAX, Field, fields

MM = Path(pinhold.mm.__file__).parent
TREES = {
    ".".join(file.relative_to(MM).with_suffix("").parts): ast.parse(file.read_text())
    for file in sorted(MM.rglob("*.py"))
}
"""Module, as seen from mm/ -> its source."""
FIELDS = {name for name, _ in fields()}


def is_kernel(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef) and any(
        ast.unparse(d.func if isinstance(d, ast.Call) else d) == "kernel" for d in node.decorator_list
    )


def kernel_functions() -> Iterator[tuple[str, ast.FunctionDef]]:
    for module, tree in TREES.items():
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and is_kernel(node):
                yield f"{module}.{node.name}", node


KERNELS = dict(kernel_functions())


@pytest.mark.parametrize("name", sorted(kernels()))
def test_kernel_functions_keep_to_the_subset(name: str) -> None:
    """The compiler refuses none of them, in mm/ or in the explorer."""
    check(kernels()[name])


ONE = "def f(m: State, a: int) -> int:\n    "


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("def f(m: State, a: int = 1) -> int:\n    return a", "2: f: it has default"),
        ("def f(m: State, a: float) -> int:\n    return 1", "2: f: a is not declared as int"),
        ("def f(m: int) -> int:\n    return 1", "2: f: m is not declared as State"),
        ("def f(m: State) -> float:\n    return 1", "2: f: it gives none of"),
        ("def f(m: State, LIMIT: int) -> int:\n    return 1", "2: f: LIMIT means something else"),
        (ONE + "LIMIT = a\n    return a", "3: f: LIMIT means something else"),
        (ONE + "raise ValueError", "3: f: Raise is no statement"),
        (ONE + "x: int = 1\n    return x", "3: f: AnnAssign is no statement"),
        (ONE + "return 1.5", "3: f: 1.5 is no integer"),
        (ONE + 'return "6.1"', "no integer"),
        (ONE + "x = [1]\n    return x[0]", "List is no expression"),
        (ONE + "return (1, 2)[0]", "Tuple is no expression"),
        (ONE + "return a / 2", "Div is no operation"),
        (ONE + "return m.no_such_field", "no field"),
        (ONE + "return m.pte", "it gives an array of the record here"),
        (ONE + "return a == 1", "it gives a truth value here, and is said to give an integer"),
        (ONE + "return nobody", "nobody has no value"),
        (ONE + "return sorted(m.pte)", "no @kernel function"),
        (ONE + "return one(m, i=a)", "by position"),
        (ONE + "return one(m, a == 1)", "a == 1 is a truth value where an integer is wanted"),
        (ONE + "return one(a, a)", "something else than the record"),
        (ONE + "return f(m, a)", "2: f: it calls itself"),
        (ONE + "x = y = a\n    return x + y", "3: f: more than one target"),
        (ONE + "x = 1\n    x = a == 1\n    return x", "4: f: x is an integer elsewhere, and a truth value here"),
        (ONE + "while a > 0:\n        a -= 1\n    else:\n        a = 9\n    return a", "3: f: a loop with an else"),
        (ONE + "for i in range(a):\n        pass\n    else:\n        a = 9\n    return a", "3: f: a loop with an else"),
        (ONE + "for i in m.pte:\n        a = i\n    return a", "over something else than a range"),
        (ONE + "return a or -LIMIT", "3: f: a: the value of `and` or `or`"),
        (ONE + "x = a and 6\n    return 1", "3: f: a: the value of `and` or `or`"),
        (ONE + "x = a == 1 and (a == 2 or 3)\n    return 1", "3: f: 3: the value of `and` or `or`"),
        (ONE + "x = a == 1\n    return ~x", "x is a truth value"),
        (ONE + "x = m.pte\n    if a:\n        x = m.vma_start\n    return x[0]", "5: f: x is to name an array"),
        (ONE + "if a:\n        x = m.pte\n    return x[0]", "4: f: x is to name an array"),
        (ONE + "x = m.pte\n    x = m.vma_start\n    return x[0]", "4: f: x is to name an array"),
        (ONE + "m.pte[one(m, 0)] = a\n    return a", "3: f: the index of a store changes"),
        (ONE + "m.pte[one(m, 0)] += a\n    return a", "3: f: the index of a store changes"),
        (ONE + "m.pte[m.vma_start[0]] = one(m, 0)\n    return a", "the index of a store reads"),
    ],
)
def test_the_subset_is_noticed_to_be_left(text: str, fault: str) -> None:
    """What does not belong to the subset is found, and where."""
    one = "@kernel\ndef one(m: State, i: int) -> int:\n    m.pte[i] += 1\n    return m.pte[i]\n"
    with (
        written(one, LIMIT=14) as names,
        function(f"@kernel\n{text}", **names) as wrong,
        pytest.raises(OutsideSubset, match=re.escape(fault)) as refusal,
    ):
        check(wrong)
    file, line, _ = str(refusal.value).split(":", 2)
    assert file.startswith("<written") and 2 <= int(line) <= 6


def test_every_kernel_function_is_registered_once() -> None:
    """The registry, which is what is compiled, has each @kernel function that is written, and names are unique."""
    for module in TREES:
        importlib.import_module(f"pinhold.mm.{module}".removesuffix(".__init__"))
    registered = [
        f"{f.__module__.removeprefix('pinhold.mm.')}.{f.__name__}"
        for f in REGISTRY
        if not f.__module__.startswith("pinhold.explore.") and not is_made(f)
    ]
    assert sorted(registered) == sorted(KERNELS)
    assert len({f.__name__ for f in REGISTRY}) == len(REGISTRY)


def is_made(function: Callable[..., object]) -> bool:
    """Whether the function's source is made from a table, and stands in no file."""
    return inspect.getfile(function).startswith("<")


def attributes_read() -> set[str]:
    """The fields that @kernel functions read or write."""
    return {node.attr for f in KERNELS.values() for node in ast.walk(f) if isinstance(node, ast.Attribute)}


def test_rules_and_their_fields_are_the_same() -> None:
    """State has one rule_ field for each rule, and the specification asks for each of them."""
    declared = {name.removeprefix("rule_") for name in FIELDS if name.startswith("rule_")}
    assert declared == {rule.name for rule in rules.RULES}
    asked = {name.removeprefix("rule_") for name in attributes_read() if name.startswith("rule_")}
    assert declared - asked == {"lru_batch"}, "lru_batch is asked for once, when a machine is made"


def explorer_reads() -> set[str]:
    """Fields that the explorer's functions of the subset use: working space outside the saved state."""
    trees = [ast.parse(file.read_text()) for file in sorted((MM.parent / "explore").rglob("*.py"))]
    names = {node.attr for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return {name for name in names & FIELDS if dict(fields())[name].constant} | {"trapped"}


def test_every_field_of_the_state_is_used() -> None:
    """@kernel functions look at every field but one that is asked for when a machine is made; of the constants, the
    explorer's functions look at some that those of mm/ do not."""
    assert FIELDS - attributes_read() - explorer_reads() == {"rule_lru_batch"}


def test_mm_names_no_room_above_it() -> None:
    """What others need in a state they declare themselves: the specification does not mention where they are."""
    above = [room.name for room in MM.parent.iterdir() if room.is_dir() and room != MM and room.name != "__pycache__"]
    told = {
        f"{name}: {room}/"
        for name in TREES
        for room in above
        if f"{room}/" in (MM / f"{name.replace('.', '/')}.py").read_text()
    }
    assert told == set()


def test_every_field_that_the_explorer_adds_is_used() -> None:
    """The explorer's functions look at each field of its own."""
    added = {name for name, value in vars(SearchState).items() if isinstance(value, Field)}
    trees = [ast.parse(file.read_text()) for file in sorted((MM.parent / "explore").rglob("*.py"))]
    assert added <= {node.attr for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


def test_every_decision_site_is_used() -> None:
    """Each site that is declared is passed to decided() somewhere, and its constant has its name and its number."""
    numbers = {site.name: number for number, site in enumerate(sites.SITES)}
    constants = {name.lower(): value for file in sites.FILES for name, value in vars(file).items() if name.isupper()}
    assert constants == numbers
    used = {
        name.id.lower()
        for function in KERNELS.values()
        for call in ast.walk(function)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "decided"
        for name in ast.walk(call.args[1])
        if isinstance(name, ast.Name)
    }
    assert numbers.keys() - used == set()
    assert {site.rule for site in sites.SITES} - {rule.name for rule in rules.RULES} == {""}


def test_no_release_is_compared_inside_the_specification() -> None:
    """Only who makes a machine knows the table of rules, and nobody but rules and releases compares with a release."""
    for module, tree in TREES.items():
        imported = {a.name for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for a in n.names}
        if module.startswith(("rules.", "releases.")):
            continue
        assert not imported & {"rules", "RULES", "BY_NAME"} or module == "machine", module
        assert "releases" not in imported, module
        compared = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.Compare)
            for side in (node.left, *node.comparators)
            if isinstance(side, ast.Constant) and re.fullmatch(r"\d+\.\d+.*", str(side.value))
        ]
        assert compared == [], f"{module}, line {compared[0].lineno if compared else 0}"


def test_every_decision_site_has_its_bit() -> None:
    """The record has room for all of them."""
    assert len(sites.SITES) <= SITES_MAX
