"""`pinhold audit`: sources of drivers, read: which pins go wrong on a release, and what to write instead."""

from __future__ import annotations

import gc
import os
import re
from argparse import Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pinhold.audit.audit import Audit, audit
from pinhold.audit.files import NotReadable, Tree, find, kernel_above, release_of
from pinhold.audit.finding import ERROR, NOTE, Finding
from pinhold.audit.oracle import Oracle
from pinhold.audit.syntax import Missing, language
from pinhold.commands import NothingToRun, UsageError
from pinhold.commands.output import output
from pinhold.commands.runs import Progress
from pinhold.report import terminal
from pinhold.scenario.verdict import EXIT_HELD, EXIT_VIOLATED

if TYPE_CHECKING:
    from pinhold.audit.compare import Backport, Difference

_BASELINE_LARGEST = 64 << 20
_GARBAGE = 200_000
"""Objects that are made before garbage is looked for: what is read of a tree stays, and to go through it takes time."""


def main(options: Namespace) -> int:
    """Read, judge and tell; 1 where something of the kind `error` is found that no baseline has."""
    two = _two_trees(options.paths)
    if options.series and not two:
        raise UsageError("--series takes two trees: that of a stable series, and a newer one that patches come from")
    if two and options.baseline:
        raise UsageError("two trees are compared with each other; --baseline is for one")
    if two and options.format in ("sarif", "html"):
        raise UsageError("of two trees the difference is text or json; sarif and html are for one")
    if options.series:
        return _series(options)
    return _difference(options) if two else _one(options)


def _two_trees(paths: Sequence[str]) -> bool:
    """Whether these are two folders that are not parts of one kernel's tree."""
    if len(paths) != 2 or not all(map(os.path.isdir, paths)):
        return False
    one, other = map(kernel_above, paths)
    return one is None or one != other


def _one(options: Namespace) -> int:
    known = _baseline(options.baseline)
    if options.format == "html":
        from pinhold.commands.pages import need_jinja

        need_jinja()
    with output(options.output) as stream:
        made = _audit(options.paths, options.release)
        shown = [one for one in made.findings if one.key not in known]
        confirmed = _confirmed(shown, options)
        lines = _lines(made, shown, options, confirmed)
        (terminal.write if options.format == "text" else terminal.plain)(lines, stream)
    return _status(shown)


def _lines(made: Audit, shown: list[Finding], options: Namespace, confirmed: dict[str, str]) -> Iterator[str]:
    told = [one for one in shown if options.notes or one.severity != NOTE]
    if options.format == "json":
        from pinhold.report.auditjson import auditjson

        return auditjson(made, shown, confirmed)
    if options.format == "sarif":
        from pinhold.report.auditsarif import auditsarif

        return auditsarif(told, _prefix(made.reading.tree.root))
    if options.format == "html":
        from pinhold.pictures.auditpage import audit_page

        return iter(audit_page(made, told, confirmed).splitlines())
    from pinhold.report.audittext import audittext

    known = len(made.findings) - len(shown)
    return audittext(made, shown, known=known, notes=options.notes, everything=options.all, confirmed=confirmed)


def _prefix(root: Path) -> str:
    """The folder of a tree, as a forge counts paths: from where the command was started."""
    path = os.path.relpath(root).replace(os.sep, "/")
    return "" if path == "." or path.startswith("..") else path


def _difference(options: Namespace) -> int:
    from pinhold.audit.compare import difference

    with output(options.output) as stream:
        old, new = (_audit([path], options.release) for path in options.paths)
        found = difference(old.findings, new.findings)
        confirmed = _confirmed(found.new, options)
        terminal.plain(_difference_lines(found, old, new, options, confirmed), stream)
    return _status(found.new)


def _difference_lines(
    found: Difference, old: Audit, new: Audit, options: Namespace, confirmed: dict[str, str]
) -> Iterator[str]:
    if options.format == "json":
        from pinhold.report.auditjson import difference_json

        return difference_json(found, old, new, confirmed)
    from pinhold.report.audittext import difference_text

    names = [f"{path} ({made.release})" for path, made in zip(options.paths, (old, new), strict=True)]
    return difference_text(found, names, options.notes, confirmed)


def _series(options: Namespace) -> int:
    from pinhold.audit.compare import backports, passed

    with output(options.output) as stream:
        new = _audit([options.paths[1]], None)
        calls, wrong, newer = passed(new), {one.key for one in new.findings if one.kind == "STALE"}, new.rules
        del new
        old = _audit([options.paths[0]], options.release)
        found = backports(old.findings, calls, wrong)
        confirmed = _confirmed([one.finding for one in found], options)
        terminal.plain(_series_lines(found, old.rules, newer, options, confirmed), stream)
    return EXIT_VIOLATED if found else EXIT_HELD


def _series_lines(
    found: list[Backport], older: str, newer: str, options: Namespace, confirmed: dict[str, str]
) -> Iterator[str]:
    if options.format == "json":
        from pinhold.report.auditjson import series_json

        return series_json(found, older, newer, confirmed)
    from pinhold.report.audittext import series_text

    return series_text(found, older, newer, confirmed)


def _status(findings: Sequence[Finding]) -> int:
    return EXIT_VIOLATED if any(one.severity == ERROR for one in findings) else EXIT_HELD


def _audit(paths: Sequence[str], wanted: str | None) -> Audit:
    """Raises UsageError, NothingToRun."""
    name = os.path.basename(os.path.normpath(paths[0])) or paths[0]
    progress = Progress("audit", 0, "files")
    often = gc.get_threshold()
    gc.set_threshold(_GARBAGE)
    try:
        language()
        tree = find(paths, lambda files: progress.of(f"files of {name} looked at", files, files))
        release = wanted if wanted is not None else release_of(tree.root) or _running()
        rules = _rules(release)
        oracle = Oracle(rules, progress=lambda call: progress.of(f"calls asked: {call}", 1, 1))
        made = audit(tree, release, oracle, lambda done, total: progress.of(f"files of {name} parsed", done, total))
    except NotReadable as reason:
        raise UsageError(str(reason)) from None
    except Missing as reason:
        raise NothingToRun(str(reason)) from None
    finally:
        gc.set_threshold(*often)
        progress.clear()
    _nothing(made, tree, paths)
    return made


def _nothing(made: Audit, tree: Tree, paths: Sequence[str]) -> None:
    """Raises UsageError where there was nothing to read."""
    if not tree.seen:
        why = f": {made.reading.tree.left_out[0]}" if made.reading.tree.left_out else ""
        raise UsageError(f"{paths[0]}: no file of C is in it{why}")


def _running() -> str:
    """The release of the kernel that runs here."""
    from pinhold.targets.live.target import LiveTarget

    return LiveTarget().info().rules


def _rules(release: str) -> str:
    """The release whose rules are asked; where it is another one, a line on stderr says so.  Raises UsageError."""
    import sys

    from pinhold.mm.releases import UnknownRelease, older

    try:
        rules, why = older(release)
    except UnknownRelease as error:
        raise UsageError(f"{error}; --release names another") from None
    if why:
        print(f"pinhold: {why}; --release names another", file=sys.stderr)
    return rules


def _baseline(path: str | None) -> set[tuple[str, ...]]:
    """The keys of what an earlier audit has found.  Raises UsageError."""
    if path is None:
        return set()
    from pinhold.report.auditjson import NoBaseline, keys

    try:
        with open(path, "rb", opener=lambda p, flags: os.open(p, flags | os.O_NONBLOCK)) as file:
            text = file.read(_BASELINE_LARGEST + 1)
        if len(text) > _BASELINE_LARGEST:
            raise UsageError(f"{path}: no baseline is that large")
        return keys(text.decode("utf-8", "replace"))
    except NoBaseline as error:
        raise UsageError(f"{path}: {error}") from None
    except OSError as error:
        raise UsageError(f"cannot read {path!r}: {error.strerror or error}") from None


def _confirmed(findings: Sequence[Finding], options: Namespace) -> dict[str, str]:
    """What the target of --confirm says of each scenario; and the files of --scenarios are written."""
    listed = [one for one in findings if one.scenario]
    if options.scenarios:
        from pinhold.commands.pages import write_files

        if os.path.lexists(options.scenarios) and not os.path.isdir(options.scenarios):
            raise UsageError(f"--scenarios {options.scenarios}: that is no folder")
        write_files(Path(options.scenarios), [(name, _commented(one)) for name, one in _file_names(listed)])
    if not options.confirm:
        return {}
    from pinhold.commands.audit_confirm import confirm

    return confirm(list(dict.fromkeys(one.scenario for one in listed)), options.confirm)


def _file_names(findings: Sequence[Finding]) -> Iterator[tuple[str, Finding]]:
    """A name for each finding's scenario, each once."""
    used: dict[str, int] = {}
    for one in findings:
        flags = one.flags.replace("FOLL_", "").replace("|", "-").lower()
        name = re.sub(r"[^A-Za-z0-9_-]", "_", f"{one.function}-{flags}")[:80]
        used[name] = used.get(name, 0) + 1
        yield f"{name}{f'-{used[name]}' if used[name] > 1 else ''}.pin", one


def _commented(one: Finding) -> str:
    head = f"{one.path}:{one.line}: {one.function}() calls {one.call}: {one.says}"
    return "".join(f"# {''.join(c if c.isprintable() else '?' for c in line)}\n" for line in [head]) + one.scenario
