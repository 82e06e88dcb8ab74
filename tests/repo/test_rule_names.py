"""The specification asks for a rule's values by their names."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import pinhold.mm
from pinhold.mm.rules import BY_NAME

MM = Path(pinhold.mm.__file__).parent
FILES = [*sorted(MM.glob("*.py")), *sorted((MM.parent / "explore").rglob("*.py"))]
NO_YES = ("no", "yes")


def constants() -> dict[str, tuple[str, str]]:
    """Constant -> its rule and the value that stands in its place, as mm/rules/ unpacks them."""
    found = {}
    for file in (MM / "rules").glob("*.py"):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
                assert isinstance(node.value, ast.Attribute)
                assert node.value.attr == "numbers"
                rule = BY_NAME[ast.unparse(node.value).split(".")[1].removeprefix("rule_")]
                names = [ast.unparse(name) for name in node.targets[0].elts]
                found |= {name: (rule.name, value) for name, value in zip(names, rule.names, strict=True)}
    return found


CONSTANTS = constants()


def bare(tree: ast.AST) -> Iterator[str]:
    """Where a rule is asked for otherwise than by the names of its values.  "no" and "yes" need none."""
    named = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and isinstance(node.left, ast.Attribute):
            rule, other = node.left.attr.removeprefix("rule_"), node.comparators[0]
            if isinstance(other, ast.Name) and CONSTANTS.get(other.id, ("", ""))[0] == rule:
                named.add(id(node.left))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node).startswith("m.rule_") and id(node) not in named:
            compared = any(node in (n.left, *n.comparators) for n in ast.walk(tree) if isinstance(n, ast.Compare))
            if compared or BY_NAME[node.attr.removeprefix("rule_")].names != NO_YES:
                yield f"line {node.lineno}: {node.attr}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_rule_is_asked_for_by_the_name_of_a_value(file: Path) -> None:
    """No number beside a rule, no constant of another one, and no truth of a rule but of one that is no or yes."""
    assert list(bare(ast.parse(file.read_text()))) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("m.rule_gup_unshares == 1", True),
        ("1 == m.rule_gup_unshares", True),
        ("m.rule_gup_unshares < UNSHARE_COW_LONGTERM", False),
        ("m.rule_gup_unshares == BREAKS_ANON", True),
        ("x and m.rule_gup_unshares", True),
        ("m.rule_direct_io", True),
        ("x = m.rule_direct_io", True),
        ("not m.rule_anon_exclusive", False),
        ("m.rule_anon_exclusive == 0", True),
    ],
)
def test_a_rule_that_is_asked_for_by_number_is_noticed(text: str, found: bool) -> None:
    """What the names are there to prevent is found."""
    assert bool(list(bare(ast.parse(text)))) == found


def test_a_constant_has_the_name_of_its_value() -> None:
    """None is exchanged for another of its rule."""
    assert {name: value for name, (_, value) in CONSTANTS.items() if not name.endswith(f"_{value.upper()}")} == {}
