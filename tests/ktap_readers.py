"""How others read KTAP, by their documented forms: what each makes of a document's result lines."""

from __future__ import annotations

import re
from collections.abc import Iterator

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


def lava(lines: list[str]) -> Iterator[str]:
    """As jobs of LAVA and KernelCI hand them on (lava-test-case NAME --result RESULT): a name of letters, digits, "_"
    and "-" alone, made of the whole line but a mark of a skip, behind the names of the "# selftests:" line."""
    suite = ""
    for line in lines:
        if "# selftests: " in line:
            suite = _slug(line.split("selftests:")[1])
        elif match := re.search(r"(not ok|ok) [0-9]{1,5} (.*)$", line):
            failed = match[1] == "not ok"
            words = re.sub("# .*$", "", match[2]) if failed else match[2].replace("# SKIP", "")
            yield f"{suite}_{_slug(words)} {'fail' if failed else 'skip' if '# SKIP' in match[2] else 'pass'}"


def _slug(words: str) -> str:
    return re.sub("^_|_$", "", re.sub("[^A-Za-z0-9_-]+", "_", words)).replace("_-", "_")
