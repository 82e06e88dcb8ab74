"""`pinhold report`: run files as pages, JUnit, KTAP, a table, one run file, or a baseline."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

from pinhold.commands import NothingToRun, UsageError
from pinhold.commands.pages import need_jinja, write_files, write_tests
from pinhold.commands.runfiles import read_run_file
from pinhold.report.readback import joined, target_runs, written_again
from pinhold.scenario.parse import ScenarioError
from pinhold.scenario.runfile import RunFile


def main(options: Namespace) -> int:
    """Write what was asked for."""
    if (options.output is None) == (options.format is None):
        raise UsageError("give -o DIR for all, or --format FORMAT for one on standard output")
    file = joined([read_run_file(path) for path in options.runs], [Path(path).name for path in options.runs])
    if not file.runs and not (file.searches and options.format == "junit"):
        raise NothingToRun(
            "there is no test to report, only a search: pinhold show draws it, and --format junit has it"
        )
    try:
        if options.format:
            sys.stdout.writelines(f"{line}\n" for line in _forms(options.ktap_names)[options.format](file))
        else:
            _write(file, Path(options.output), _forms(options.ktap_names))
    except ScenarioError as error:
        raise UsageError(f"a scenario of the run file is not of this version's language: {error}") from None
    return 0


def _cut(file: RunFile) -> str | None:
    """What ended the run early, as far as the file tells."""
    return None if file.complete else "what the run file does not say"


def _junit(file: RunFile) -> Iterable[str]:
    from pinhold.report.junit import junit

    return junit(target_runs(file), _cut(file), file.searches, file.started)


def _ktap(names: str | None, file: RunFile) -> Iterable[str]:
    from pinhold.report.ktap import ktap

    return ktap(target_runs(file), names, _cut(file))


def _baseline(file: RunFile) -> Iterable[str]:
    from pinhold.report.baseline import written

    return written(target_runs(file), _cut(file))


def _table(file: RunFile) -> Iterable[str]:
    from pinhold.report.table import table

    return table(target_runs(file))


def _html(file: RunFile) -> Iterable[str]:
    need_jinja(INSTEAD)
    from pinhold.pictures.matrix import matrix

    return [matrix(file)]


Form = Callable[[RunFile], Iterable[str]]


def _forms(ktap_names: str | None) -> Mapping[str, Form]:
    return {
        "table": _table,
        "ktap": partial(_ktap, ktap_names),
        "json": written_again,
        "junit": _junit,
        "baseline": _baseline,
        "html": _html,
    }


INSTEAD = "; --format table, ktap and junit need nothing"


def _write(file: RunFile, folder: Path, forms: Mapping[str, Form]) -> None:
    """index.html with a page for each test, and what other programs read."""
    need_jinja(INSTEAD)
    names = (("index.html", "html"), ("junit.xml", "junit"), ("results.ktap", "ktap"))
    write_files(folder, ((name, "".join(f"{line}\n" for line in forms[form](file))) for name, form in names))
    write_tests(file, folder / "tests", "../index.html")
    print(folder / "index.html")
