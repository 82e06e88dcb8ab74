"""A kernel patch as a rule of one's own: `@kernel` functions of a user's file in the place of mm/'s of the same name.

While they are in force a function of mm/ does what the file says, for everybody who calls it: a replaced function stays
the same object and has other code.  What its names mean is looked up in its own module of mm/, to which is added what
the file imports beside that.  The file is never run: its imports are of mm/, and besides there are functions of the
subset (subset.py), which compute and do nothing else.
"""

from __future__ import annotations
import __future__

import ast
import hashlib
import importlib
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import partial
from types import FunctionType
from typing import Any, NoReturn

from pinhold import trust
from pinhold.compiler.source import callees, definition, kernels
from pinhold.compiler.subset import OutsideSubset, check
from pinhold.mm.kernel import PATCHES, REGISTRY, Function, Marks, Patch, kernel, load_specification
from pinhold.mm.state import State

ROOM = "pinhold.mm"
_MOST = 1 << 20
"""Bytes of a file."""
_NAME = re.compile(r"[A-Za-z0-9_.+-]{1,64}")
_GIVEN: Mapping[str, Any] = {"kernel": kernel, "State": State}
"""What every function of the subset needs, and a file need not import."""


class BadPatch(ValueError):
    """A file whose functions cannot stand in for mm/'s; the message begins with the file and, if it can, the line."""


@dataclass(frozen=True)
class _File:
    """A file that was read.

    functions, written: what it defines, by name; names: what it imports, and its own constants.
    """

    path: str
    text: str
    functions: Mapping[str, FunctionType]
    written: Mapping[str, ast.FunctionDef]
    names: Mapping[str, Any]

    def refuse(self, node: ast.AST | None, why: str) -> NoReturn:
        raise BadPatch(f"{self.path}:{getattr(node, 'lineno', 1)}: {why}")


@contextmanager
def patched(paths: Sequence[str]) -> Iterator[None]:
    """In this process, and in those that it forks, the functions of these files stand in for mm/'s.

    Raises BadPatch, trust.Untrusted and OSError; then nothing is replaced.
    """
    if not paths:
        yield
        return
    load_specification()
    marks = dict(REGISTRY)
    with ExitStack() as undo:
        undo.callback(_forget)
        undo.callback(REGISTRY.update, marks)
        undo.callback(PATCHES.clear)
        for path in paths:
            _put_in_place(_read(path), undo)
        _forget()
        _only_what_is_still_true()
        for function in _specification().values():
            try:
                check(function)
            except OutsideSubset as error:
                raise BadPatch(str(error)) from None
        yield


def _specification() -> dict[str, FunctionType]:
    """The functions that can be replaced."""
    return {n: f for n, f in kernels().items() if f.__module__.startswith(f"{ROOM}.") and isinstance(f, FunctionType)}


def _forget() -> None:
    """What was worked out from functions that were others: every cache of pinhold's."""
    for name, module in list(sys.modules.items()):
        if name.startswith("pinhold."):
            for value in list(vars(module).values()):
                if callable(clear := getattr(value, "cache_clear", None)):
                    clear()


def _only_what_is_still_true() -> None:
    """What is said of a function's results (mm/kernel.py) was shown of the one that was replaced, and of those that
    call it: of these nothing is taken for known."""
    callers: dict[Function, list[Function]] = {}
    for function in REGISTRY:
        for called in callees(function):
            callers.setdefault(called, []).append(function)
    functions = _specification()
    waiting: list[Function] = [functions[name] for patch in PATCHES for name in patch.functions]
    seen = set(waiting)
    while waiting:
        one = waiting.pop()
        REGISTRY[one] = Marks(REGISTRY[one].needs)
        new = [caller for caller in callers.get(one, ()) if caller not in seen]
        seen.update(new)
        waiting += new


# Reading a file


def _read(path: str) -> _File:
    """Raises BadPatch, Untrusted, OSError."""
    trust.check_code(path)
    name = os.path.basename(path)
    if not os.path.isfile(path):
        os.stat(path)
        raise BadPatch(f"{path}: --with takes a file of Python functions, and this is no file")
    if not _NAME.fullmatch(name):
        raise BadPatch(f"{path}: results are to name it: call it by letters, digits and . _ + -")
    with open(path, "rb") as file:
        data = file.read(_MOST + 1)
    if len(data) > _MOST:
        raise BadPatch(f"{path}: longer than {_MOST >> 20} MiB")
    try:
        text = data.decode("utf-8")
        tree = ast.parse(text, path)
    except SyntaxError as error:
        raise BadPatch(f"{path}:{error.lineno or 1}: not Python: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise BadPatch(f"{path}: not Python: {error}") from None
    names, functions = dict(_GIVEN), dict[str, ast.FunctionDef]()
    found = _File(path, text, {}, functions, names)
    for index, node in enumerate(tree.body):
        match node:
            case ast.Expr(ast.Constant(str())) if index == 0:
                pass
            case ast.Import() | ast.ImportFrom():
                names |= _imported(found, node)
            case ast.Assign([ast.Name(constant)], ast.Constant(int() as value)):
                names[constant] = value
            case ast.FunctionDef():
                _plain(found, node)
                functions[node.name] = node
            case _:
                found.refuse(node, "beside imports, constants and @kernel functions nothing stands in such a file")
    if not functions:
        found.refuse(None, "it has no @kernel function")
    return replace(found, functions=_compiled(path, list(functions.values()), names))


def _imported(file: _File, node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, Any]]:
    """Each name, and what it means; modules themselves are of no use in the subset."""
    if isinstance(node, ast.Import):
        file.refuse(node, f"imports are of functions and numbers of mm/: from {ROOM}.flags import FOLL_PIN")
    module = node.module or ""
    if module == "__future__":
        return
    if node.level or not module.startswith(f"{ROOM}."):
        file.refuse(node, f"{'.' * node.level}{module} is not of mm/, of which alone such a file imports")
    try:
        found = importlib.import_module(module)
    except ImportError:
        file.refuse(node, f"there is no {module}")
    for alias in node.names:
        if not hasattr(found, alias.name):
            file.refuse(node, f"{module} has no {alias.name}{_close(alias.name, vars(found))}")
        yield alias.asname or alias.name, getattr(found, alias.name)


def _plain(file: _File, node: ast.FunctionDef) -> None:
    """A function that can be made without running anything of the file."""
    marked = [ast.unparse(decorator) for decorator in node.decorator_list]
    if marked != ["kernel"] or file.names["kernel"] is not kernel:
        file.refuse(node, f"{node.name}: @kernel, and nothing else, marks a function of such a file")
    if node.args.defaults or any(node.args.kw_defaults):
        file.refuse(node, f"{node.name}: it has default arguments")
    if node.name in file.written:
        file.refuse(node, f"{node.name}: it is there twice")


def _compiled(path: str, functions: list[ast.FunctionDef], names: Mapping[str, Any]) -> dict[str, FunctionType]:
    """The functions, by their names; none is in the registry."""
    made = {**names, "kernel": lambda function: function}
    body = ast.Module([*functions], [])
    exec(compile(body, path, "exec", __future__.annotations.compiler_flag, dont_inherit=True), made)
    return {node.name: made[node.name] for node in functions}


def _close(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f": did you mean {close[0]}?" if close else ""


# Putting functions in place


def _put_in_place(file: _File, undo: ExitStack) -> None:
    """Raises BadPatch."""
    there = _specification()
    for name, function in file.functions.items():
        written = file.written[name]
        if name not in there:
            file.refuse(written, f"mm/ has no function {name}{_close(name, there)}")
        for patch in PATCHES:
            if name in patch.functions:
                file.refuse(written, f"{name} is replaced by {patch.file} already")
        old = there[name]
        _same_signature(file, written, definition(old), old)
        _same_names(file, written, old, there, undo)
        undo.callback(partial(setattr, old, "__code__", old.__code__))
        old.__code__ = function.__code__
    digest = hashlib.sha256(file.text.encode()).hexdigest()
    PATCHES.append(Patch(file.path, os.path.basename(file.path), digest, tuple(file.functions)))


def _same_signature(file: _File, new: ast.FunctionDef, old: ast.FunctionDef, function: FunctionType) -> None:
    theirs, own = (_signature(node) for node in (old, new))
    if theirs != own:
        file.refuse(new, f"{new.name}{own} does not fit: in {_file_of(function)} it is {new.name}{theirs}")


def _signature(node: ast.FunctionDef) -> str:
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"({ast.unparse(node.args)}){returns}"


def _file_of(function: FunctionType) -> str:
    return f"mm/{function.__module__.removeprefix(f'{ROOM}.').replace('.', '/')}.py"


def _same_names(
    file: _File, new: ast.FunctionDef, old: FunctionType, there: Mapping[str, FunctionType], undo: ExitStack
) -> None:
    """The names that the function uses mean the same in the module of the one that it replaces; what that has not is
    added to it."""
    scope = old.__globals__
    for node in ast.walk(new):
        if not isinstance(node, ast.Name) or node.id not in file.names or node.id in file.functions:
            continue
        meant = file.names[node.id]
        if node.id not in scope:
            scope[node.id] = meant
            undo.callback(scope.pop, node.id)
        elif scope[node.id] is not meant and scope[node.id] != meant:
            file.refuse(node, f"{node.id} means something else in {_file_of(old)}: give it another name")
    for called in (node for node in ast.walk(new) if isinstance(node, ast.Name) and node.id in file.functions):
        if called.id in there and called.id not in scope:
            scope[called.id] = there[called.id]
            undo.callback(scope.pop, called.id)
