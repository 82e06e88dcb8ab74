"""The specification keeps to the subset that compiles, and uses every rule and every decision site that it declares."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import pinhold.mm
from pinhold.explore.record import SearchState
from pinhold.mm import rules, sites
from pinhold.mm.kernel import REGISTRY
from pinhold.mm.state import Field, State

MM = Path(pinhold.mm.__file__).parent
TREES = {file.stem: ast.parse(file.read_text()) for file in sorted(MM.glob("*.py"))}
FIELDS = {name for name, value in vars(State).items() if isinstance(value, Field)}
BUILTINS = {"range", "len", "min", "max"}
RESULTS = ("int", "bool", "None", "tuple[int, int]")
FORBIDDEN = (
    ast.Assert,
    ast.AsyncFunctionDef,
    ast.Await,
    ast.ClassDef,
    ast.Delete,
    ast.Dict,
    ast.DictComp,
    ast.FormattedValue,
    ast.FunctionDef,
    ast.GeneratorExp,
    ast.Global,
    ast.Import,
    ast.ImportFrom,
    ast.JoinedStr,
    ast.Lambda,
    ast.List,
    ast.ListComp,
    ast.Match,
    ast.NamedExpr,
    ast.Nonlocal,
    ast.Raise,
    ast.Set,
    ast.SetComp,
    ast.Slice,
    ast.Starred,
    ast.Try,
    ast.With,
    ast.Yield,
    ast.YieldFrom,
    ast.Div,
    ast.Pow,
    ast.MatMult,
)


def is_kernel(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef) and any(
        isinstance(d, ast.Name) and d.id == "kernel" for d in node.decorator_list
    )


def kernel_functions() -> Iterator[tuple[str, ast.FunctionDef]]:
    for module, tree in TREES.items():
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and is_kernel(node):
                yield f"{module}.{node.name}", node


KERNELS = dict(kernel_functions())
KERNEL_NAMES = {name.partition(".")[2] for name in KERNELS}


def body_nodes(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """Every node of the body but for the docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    for statement in body:
        yield from ast.walk(statement)


def signature_faults(function: ast.FunctionDef) -> Iterator[str]:
    """Arguments are the state, then integers; the result is one or two integers, a truth value, or nothing."""
    a = function.args
    if a.defaults or a.kwonlyargs or a.vararg or a.kwarg or a.posonlyargs:
        yield "has default, keyword or variable arguments"
    for index, arg in enumerate(a.args):
        wanted = "State" if index == 0 and arg.arg == "m" else "int"
        if arg.annotation is None or ast.unparse(arg.annotation) != wanted:
            yield f"takes {arg.arg}, which is not declared as {wanted}"
    if function.returns is None or ast.unparse(function.returns) not in RESULTS:
        yield f"returns none of {', '.join(RESULTS)}"


def tuples_allowed(function: ast.FunctionDef) -> set[int]:
    """Tuples that are no allocation: what `in` looks through, what `for` goes through, a pair returned and unpacked."""
    allowed = set()
    for node in body_nodes(function):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.In, ast.NotIn)):
            allowed.add(id(node.comparators[0]))
        if isinstance(node, ast.For):
            allowed.add(id(node.iter))
        if isinstance(node, ast.Return):
            allowed.add(id(node.value))
        if isinstance(node, ast.Assign):
            allowed.add(id(node.targets[0]))
    return allowed


def body_faults(function: ast.FunctionDef) -> Iterator[str]:
    tuples = tuples_allowed(function)
    for node in body_nodes(function):
        line = getattr(node, "lineno", 0)
        if isinstance(node, FORBIDDEN):
            yield f"line {line}: {type(node).__name__}"
        elif isinstance(node, ast.Tuple) and id(node) not in tuples:
            yield f"line {line}: a tuple"
        elif isinstance(node, ast.Constant) and not isinstance(node.value, int):
            yield f"line {line}: {node.value!r} is no integer"
        elif isinstance(node, ast.Attribute) and not (
            isinstance(node.value, ast.Name) and node.value.id == "m" and node.attr in FIELDS
        ):
            yield f"line {line}: {ast.unparse(node)} is no field of the state"
        elif isinstance(node, ast.Call):
            called = node.func.id if isinstance(node.func, ast.Name) else ast.unparse(node.func)
            if called not in KERNEL_NAMES | BUILTINS:
                yield f"line {line}: calls {called}, which is no @kernel function"
            if node.keywords:
                yield f"line {line}: calls {called} by keyword"


@pytest.mark.parametrize("name", KERNELS)
def test_kernel_functions_keep_to_the_subset(name: str) -> None:
    """Integers, the state's arrays, calls of one another: no exception, string, closure, default, float, allocation."""
    assert [*signature_faults(KERNELS[name]), *body_faults(KERNELS[name])] == []


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("def f(m: State, a: int = 1) -> int:\n    return a", "default"),
        ("def f(m: State, a: float) -> int:\n    return 1", "not declared as int"),
        ("def f(m: State) -> int:\n    raise ValueError", "Raise"),
        ("def f(m: State) -> int:\n    return 1.5", "1.5 is no integer"),
        ("def f(m: State) -> int:\n    x = [1]\n    return x[0]", "List"),
        ("def f(m: State) -> int:\n    return (1, 2)[0]", "a tuple"),
        ("def f(m: State) -> int:\n    return m.no_such_field", "no field"),
        ("def f(m: State) -> int:\n    return sorted(m.pte)", "no @kernel function"),
        ('def f(m: State) -> int:\n    return "6.1"', "no integer"),
    ],
)
def test_the_subset_is_noticed_to_be_left(body: str, fault: str) -> None:
    """What does not belong to the subset is found."""
    function = ast.parse(body).body[0]
    assert isinstance(function, ast.FunctionDef)
    assert any(fault in found for found in [*signature_faults(function), *body_faults(function)])


def test_every_kernel_function_is_registered_once() -> None:
    """The registry, which is what is compiled, has each @kernel function, and names are unique."""
    for module in TREES:
        importlib.import_module(f"pinhold.mm.{module}" if module != "__init__" else "pinhold.mm")
    registered = [
        f"{f.__module__.rpartition('.')[2]}.{f.__name__}"
        for f in REGISTRY
        if not f.__module__.startswith("pinhold.explore.")
    ]
    assert sorted(registered) == sorted(KERNELS)
    assert len(KERNEL_NAMES) == len(KERNELS)


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
    return {name for name in names & FIELDS if vars(State)[name].constant} | {"trapped"}


def test_every_field_of_the_state_is_used() -> None:
    """@kernel functions look at every field but one that is asked for when a machine is made; of the constants, the
    explorer's functions look at some that those of mm/ do not."""
    assert FIELDS - attributes_read() - explorer_reads() == {"rule_lru_batch"}


def test_mm_names_no_room_above_it() -> None:
    """What others need in a state they declare themselves: the specification does not mention where they are."""
    above = [room.name for room in MM.parent.iterdir() if room.is_dir() and room != MM and room.name != "__pycache__"]
    told = {f"{name}: {room}/" for name in TREES for room in above if f"{room}/" in (MM / f"{name}.py").read_text()}
    assert told == set()


def test_every_field_that_the_explorer_adds_is_used() -> None:
    """The explorer's functions look at each field of its own."""
    added = {name for name, value in vars(SearchState).items() if isinstance(value, Field)}
    trees = [ast.parse(file.read_text()) for file in sorted((MM.parent / "explore").rglob("*.py"))]
    assert added <= {node.attr for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


def test_every_decision_site_is_used() -> None:
    """Each site of the table is passed to decided() somewhere, and its number is its place in the table."""
    numbers = {site.name: number for number, site in enumerate(sites.SITES)}
    assert {name.lower(): value for name, value in vars(sites).items() if name.isupper() and name != "SITES"} == numbers
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
    """Only machine and sites know the table of rules, and nobody but releases compares with a release."""
    for module, tree in TREES.items():
        imported = {a.name for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for a in n.names}
        assert "rules" not in imported or module in ("machine", "sites"), module
        assert "releases" not in imported, module
        compared = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.Compare)
            for side in (node.left, *node.comparators)
            if isinstance(side, ast.Constant) and re.fullmatch(r"\d+\.\d+.*", str(side.value))
        ]
        assert compared == [], f"{module}, line {compared[0].lineno if compared else 0}"
