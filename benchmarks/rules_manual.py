"""docs/rules.md, made from the rules: what differs between kernels, value by value, with commit and sentence.

python benchmarks/rules_manual.py > docs/rules.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from pinhold.mm.releases import backports, entry, releases
from pinhold.mm.rules import RULES, Commit, Switch, Value

HEAD = """\
# The rules

Made by `benchmarks/rules_manual.py` from `mm/rules/` and `mm/releases/`; a test compares. What differs between kernels,
as `pinhold rules list` prints it: of each rule its values, what brought each, which releases have it (and from which
stable release on others do), and what kernels do with it. How the value of a release is known, `pinhold rules show REL`
tells."""


def manual() -> Iterator[str]:
    """The lines."""
    yield from HEAD.splitlines()
    for rule in RULES:
        yield from ("", f"## {rule.name}", "", f"{rule.doc} Decided in `{rule.function}()`.", "")
        yield "| value | by | releases | what is done |"
        yield "|-------|----|----------|--------------|"
        for value in rule.values:
            where = f" (`{value.function}()`)" if value.function else ""
            yield f"| `{value.name}` | {brought(rule, value)} | {held_by(rule, value)} | {value.sentence}{where} |"


def brought(rule: Switch, value: Value) -> str:
    """The commits and since when, or why there is none."""
    words = [
        f"{since.commit} ({since.release})" for since in rule.mainline if since.value == value.name and since.commit
    ]
    if not isinstance(value.by, Commit):
        words.insert(0, value.by.reason + (f" ({value.by.since})" if value.by.since[:1].isdigit() else ""))
    elif value.by.since.count(".") > 1:
        words.append(f"{value.by.hash} ({value.by.since})")
    return "; ".join(words)


def held_by(rule: Switch, value: Value) -> str:
    """The releases that have it, and stable ones."""
    named = [release for release in releases() if entry(rule, release).value == value.name]
    named += [f"{since.release} on" for since in backports(rule) if since.value == value.name]
    return ", ".join(named) or "none"


def main() -> int:
    print("\n".join(manual()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
