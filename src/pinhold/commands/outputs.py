"""Where `run` writes what: one file or several, each in the format that its name ends in or that was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from pinhold.commands import UsageError

ENDINGS = {
    ".json": "json",
    ".jsonl": "json",
    ".ktap": "ktap",
    ".tap": "ktap",
    ".toml": "baseline",
    ".txt": "table",
    ".xml": "junit",
}
STANDARD = "-"


def outputs(paths: Sequence[str] | None, form: str | None) -> list[tuple[str | None, str]]:
    """Path, None for standard output, and format of each.  Raises UsageError.

    form: of the only one; of several that of those whose ending says none.
    """
    if not paths:
        return [(None, form or "table")]
    if len(set(paths)) < len(paths):
        raise UsageError(f"-o {next(p for p in paths if paths.count(p) > 1)} is there twice: name each file once")
    if len(paths) == 1 and form is not None:
        return [(_path(paths[0]), form)]
    return [(_path(path), _by_ending(path) or form or "table") for path in paths]


def _path(path: str) -> str | None:
    return None if path == STANDARD else path


def _by_ending(path: str) -> str | None:
    ending = PurePath(path).suffix.lower()
    if ending in (".html", ".htm"):
        raise UsageError(f"-o {path}: a page is written by --html {path}")
    return ENDINGS.get(ending)
