"""The tests that `run` is asked for: on the command line, in a file, or as what failed in a run before."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Sequence

from pinhold.commands import NothingToRun, UsageError
from pinhold.commands.runfiles import read_run_file
from pinhold.commands.select import Selected, from_text, read_text, select
from pinhold.scenario.runfile import RunFile
from pinhold.scenario.suites import place

PASSED = ("held", "xfail", "skipped")


def chosen(options: Namespace) -> list[Selected]:
    """In the order asked for.  Raises UsageError, and NothingToRun where nothing failed before."""
    named = [*options.tests, *(_listed(options.tests_from) if options.tests_from else ())]
    if not options.only_failed:
        if not named:
            if options.tests_from:
                raise UsageError(f"{options.tests_from} names no test: write one a line, for example seed/151-162")
            words = "required: TEST, or --tests-from FILE, or --only-failed RUN"
            raise UsageError(f"the following arguments are {words}; see pinhold run --help")
        return select(named, options.without)
    file = read_run_file(options.only_failed)
    names = failed(file)
    tests = select(named, options.without) if named else recorded(file, names, options.without)
    found = [test for test in tests if test.name in names]
    if not found:
        which = "of these tests " if named else ""
        raise NothingToRun(f"{which}none failed in {options.only_failed}: there is nothing to run again")
    return found


def failed(file: RunFile) -> list[str]:
    """Names of the tests that did not end well on some target; one that was cut off is one of them."""
    return list(dict.fromkeys(run.name for run in file.runs if run.verdict is None or run.verdict.kind not in PASSED))


def recorded(file: RunFile, names: Sequence[str], without: str | None = None) -> list[Selected]:
    """The tests of these names: of the suites, in their files, or, where a file is gone, as the run file has them.

    Raises UsageError.
    """
    texts = {run.name: run.text for run in file.runs}
    gone = [name for name in names if place(name) is None and not os.path.lexists(name)]
    tests = {test.name: test for test in select([name for name in names if name not in gone], without)}
    tests |= {name: from_text(texts[name], name) for name in gone}
    return [tests[name] for name in names]


def _listed(path: str) -> list[str]:
    """One a line; a # begins a comment."""
    text = sys.stdin.read() if path == "-" else read_text(path, "list of tests")
    return [words for line in text.splitlines() if (words := line.partition("#")[0].strip())]
