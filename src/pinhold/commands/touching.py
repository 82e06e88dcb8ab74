"""--touches and --touches-diff: of the tests those that go through what a patch changes, as the model runs them."""

from __future__ import annotations

import sys
import textwrap
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from pinhold.commands import NothingToRun, UsageError
from pinhold.commands.names import targets as targets_of
from pinhold.commands.registry import describe, make_target
from pinhold.commands.runs import Progress
from pinhold.commands.select import Selected
from pinhold.commands.workers import in_workers, worth_it
from pinhold.mm.releases import UnknownRelease, releases, stand_in
from pinhold.report import terminal
from pinhold.report.results import counted
from pinhold.targets.batch import BatchTarget
from pinhold.targets.model.target import ModelTarget
from pinhold.touched.changes import Changes, changes
from pinhold.touched.diff import MOST, BadDiff, parse
from pinhold.touched.names import known
from pinhold.touched.through import through
from pinhold.touched.tree import Tree

if TYPE_CHECKING:
    from pinhold.targets.base import Target

_WORTH_WORKERS = 16
_SHOWN = 12
"""So many functions are told one by one."""
_MARK = "include/linux/mm.h"
"""A file that each kernel's tree has."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is looked for.

    changed: functions of the kernel, each with the files in which it is changed, where a patch names them.  means: of
    each the functions that stand for it, itself where the specification knows it, else those that come to call it.
    elsewhere: lines that are changed outside of functions, by file; strange: files that are not as in the tree.
    tree: whether there is one.
    """

    changed: Mapping[str, Sequence[str]]
    means: Mapping[str, Sequence[str]]
    elsewhere: Mapping[str, int]
    strange: Sequence[str]
    tree: bool

    @property
    def unknown(self) -> list[str]:
        """Those for which nothing stands."""
        return [name for name in self.changed if not self.means[name]]


def wanted(options: Namespace) -> bool:
    """Whether the tests are to be chosen so."""
    if not options.touches and options.touches_diff is None:
        if options.tree is not None:
            raise UsageError("--tree is the source of a patch: add --touches FUNCTION or --touches-diff FILE")
        return False
    return True


def touching(options: Namespace, on: Sequence[str], tests: Sequence[Selected], told: TextIO) -> list[Selected]:
    """The tests that go through what is asked for, all of them where nothing is; `told` is told how many.

    Raises UsageError, and NothingToRun where there is none, but not all that is changed is known.
    """
    if not wanted(options):
        return list(tests)
    asked = _asked(options)
    models = _models(on)
    names = sorted({name for means in asked.means.values() for name in means})
    gone = _gone(models, tests, names) if names else [frozenset[str]()] * len(tests)
    found = [test for test, through in zip(tests, gone, strict=True) if through]
    width = terminal.width(100)
    for line in _words(asked, gone, len(found), [model.name for model in models]):
        print("\n".join(textwrap.wrap(line, width, subsequent_indent="    ")), file=told)
    if not found and (asked.unknown or asked.elsewhere):
        raise NothingToRun("no test is known to go through the patch, and not all of it is known to the specification")
    nothing = "Nothing is run." if getattr(options, "random", None) is None else "Only random scenarios are run."
    print("" if found else nothing, file=told)
    return found


# What is asked


def _asked(options: Namespace) -> Asked:
    tree = _tree(options.tree)
    named = [name.strip() for text in options.touches or () for name in text.split(",") if name.strip()]
    found = Changes() if options.touches_diff is None else _of_diff(options.touches_diff, tree)
    for name in named:
        if not name.isidentifier():
            raise UsageError(f"--touches takes names of the kernel's functions, and {name!r} is none")
        found.functions.setdefault(name, [])
    means = {name: _means(name, tree) for name in found.functions}
    if named and not any(means.values()):
        raise UsageError(f"the specification knows no function {named[0]!r}: {_nearest(named[0])}")
    return Asked(found.functions, means, found.elsewhere, found.strange, tree is not None)


def _nearest(name: str) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, known(), n=1, cutoff=0.7)
    return f"did you mean {close[0]}?" if close else "name one of mm/, such as do_wp_page or gup_must_unshare"


def _tree(folder: str | None) -> Tree | None:
    if (Path(folder or ".") / _MARK).is_file():
        return Tree(Path(folder or "."))
    if folder is not None:
        raise UsageError(f"--tree {folder}: it is no kernel's source, as it has no {_MARK}")
    return None


def _means(name: str, tree: Tree | None) -> list[str]:
    if name in known():
        return [name]
    return tree.above(name, known()) if tree is not None else []


def _of_diff(path: str, tree: Tree | None) -> Changes:
    name = "standard input" if path == "-" else path
    try:
        if path == "-":
            data = sys.stdin.buffer.read(MOST + 1)
        else:
            with open(path, "rb") as file:
                data = file.read(MOST + 1)
    except OSError as error:
        raise UsageError(f"cannot read {name!r}: {error.strerror or error}") from None
    try:
        return changes(parse(data), tree)
    except BadDiff as why:
        raise UsageError(f"{name} is no patch: {why}") from None


# Which tests


def _models(on: Sequence[str]) -> list[ModelTarget]:
    """The models of the targets, each once.  Raises UsageError, NothingToRun."""
    found: dict[str, ModelTarget] = {}
    for text in targets_of(on):
        target = make_target(text)
        model = target if isinstance(target, ModelTarget) else _model_of(_release(target))
        found.setdefault(model.name, model)
    return list(found.values())


def _release(target: Target) -> str:
    """Of a kernel; its image names it, so that it need not be booted."""
    if not isinstance(target, BatchTarget):
        return describe(target).rules
    from pinhold.lab.target import VmTarget

    assert isinstance(target, VmTarget)
    return target.kernel.release


def _model_of(release: str) -> ModelTarget:
    """Of a release that is not known, the newest model."""
    try:
        return ModelTarget(stand_in(release)[0])
    except (UnknownRelease, ValueError):
        return ModelTarget(releases()[-1])


def _gone(models: Sequence[ModelTarget], tests: Sequence[Selected], names: Sequence[str]) -> list[frozenset[str]]:
    """Of each test which of the functions it goes through, on any of the models."""
    progress = Progress("--touches", len(tests))

    def one(test: Selected) -> frozenset[str]:
        return frozenset[str]().union(*(through(model, test.scenario, names) for model in models))

    parallel = len(tests) >= _WORTH_WORKERS and worth_it()
    results = in_workers(one, tests, lambda test: frozenset(names)) if parallel else map(one, tests)
    found = []
    try:
        for done, result in enumerate(results, 1):
            progress.at(done)
            found.append(result)
    finally:
        progress.clear()
    return found


# In words


def _words(asked: Asked, gone: Sequence[frozenset[str]], count: int, models: Sequence[str]) -> Iterator[str]:
    through = Counter(name for names in gone for name in names)
    if not asked.changed:
        yield "The patch changes no function."
    elif len(asked.unknown) < len(asked.changed):
        go = "goes" if len(gone) == 1 else "go"
        yield f"{count} of {counted(len(gone), 'test')} {go} through what is changed, on {_listed(models)}:"
    known_ones = [name for name in asked.changed if asked.means[name]]
    known_ones.sort(key=lambda name: -_tests(asked.means[name], gone))
    for name in known_ones[:_SHOWN]:
        by = (
            ""
            if name in known()
            else f", by {_listed([m for m in asked.means[name] if through[m]] or ['its callers'])}"
        )
        yield f"  {_placed(name, asked)}: {_tests(asked.means[name], gone) or 'none'}{by}"
    if len(known_ones) > _SHOWN:
        yield f"  and {len(known_ones) - _SHOWN} functions more"
    if unknown := asked.unknown:
        hint = "" if asked.tree else "; --tree DIR, the kernel's source, would tell who calls them"
        yield f"  not in the specification: {_listed([_placed(name, asked) for name in unknown])}{hint}"
    if asked.elsewhere:
        where = [f"{path} ({counted(lines, 'line')})" for path, lines in asked.elsewhere.items()]
        unsure = "" if asked.tree and not asked.strange else ", or in none that the patch tells"
        yield f"  outside of functions{unsure}, which may concern any test: {_listed(where)}"
    if asked.strange:
        yield f"  not as in the tree, so read from the patch alone: {_listed(asked.strange)}"


def _tests(means: Sequence[str], gone: Sequence[frozenset[str]]) -> int:
    return sum(not names.isdisjoint(means) for names in gone)


def _placed(name: str, asked: Asked) -> str:
    where = asked.changed[name]
    return f"{name} ({', '.join(where)})" if where else name


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"
