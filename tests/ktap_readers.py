"""How others read KTAP, by their documented forms: what each makes of a document's result lines."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from tap.parser import Parser

RESULT = re.compile(
    r"(?P<indent> *)(?P<word>ok|not ok) (?P<number>[0-9]+) ?(?:- )?(?P<name>[^#]*?)(?: # (?P<more>.*))?"
)
"""Documentation/dev-tools/ktap.rst: <result> <number> [<description>][ # [<directive>] [<diagnostic data>]]."""


def kernel(lines: list[str]) -> Iterator[tuple[int, int, str, str]]:
    """As the KTAP specification has it, and kunit.py reads it: depth, number, name and outcome of each."""
    for line in lines:
        if match := RESULT.fullmatch(line):
            directive = (match["more"] or "").split(" ")[0]
            outcome = directive if directive in ("SKIP", "XFAIL", "TIMEOUT", "ERROR") else match["word"]
            yield len(match["indent"]) // 2, int(match["number"]), match["name"], outcome


def lava(lines: Iterable[str]) -> list[str]:
    """The present generation (since 2024) of the parsers by which jobs of LAVA and KernelCI hand on what kselftest and
    kunit print, parse-output.py of Linaro's test-definitions: NAME RESULT, for lava-test-case.  tap.py finds results,
    at the beginning of a line alone.  A name is the description, and the reason for a skip, if one is in the line; what
    has the name of another is numbered."""
    names: Counter[str] = Counter()
    found: list[str] = []
    for line in Parser().parse_text("\n".join(lines)):
        if line.category != "test":
            continue
        reason = line.directive.text[len("SKIP") :] if line.ok and line.skip else ""
        name = _slug(f"{line.description} {reason}".strip()).replace("_-", "__") or "unknown"
        names[name] += 1
        called = name if names[name] == 1 else f"{name}_dup{names[name]}"
        found.append(f"{called} {'fail' if not line.ok else 'skip' if line.skip else 'pass'}")
    return found


def lava_before(lines: Iterable[str]) -> Iterator[str]:
    """The generation before it, by one regular expression a line: a name is all of a line but a mark of a skip, or what
    stands behind the "#" of a failure, behind the names of the last "# selftests:" line."""
    suite = ""
    for line in lines:
        if "# selftests: " in line:
            suite = _slug(line.split("selftests:")[1])
        elif match := re.search(r"(not ok|ok) [0-9]{1,5} (.*)$", line):
            failed = match[1] == "not ok"
            words = re.sub("# .*$", "", match[2]) if failed else match[2].replace("# SKIP", "")
            name = _slug(words).replace("_-", "_")
            yield f"{suite}_{name} {'fail' if failed else 'skip' if '# SKIP' in match[2] else 'pass'}"


def _slug(words: str) -> str:
    """Letters, digits, "_" and "-" alone."""
    return re.sub("^_|_$", "", re.sub("[^A-Za-z0-9_-]+", "_", re.sub(r"\[[0-9]{1,5}\]", "", words)))
