"""Where a command's output goes: standard output, or a file that is there whole or not at all."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from pinhold.commands import UsageError, WriteFailed


@contextmanager
def output(path: str | None) -> Iterator[TextIO]:
    """The stream to write to.  A file appears under its name when the block ends well.

    Raises UsageError where the file cannot be made, before any work is done, and WriteFailed where writing fails.
    """
    if path is None:
        yield sys.stdout
        return
    real = os.path.realpath(path)
    with _temporary(path, real) if _replaceable(path, real) else _direct(path, real) as stream:
        yield stream


def _replaceable(path: str, real: str) -> bool:
    """Whether the name is free or an ordinary file: a device or a pipe is written to, never replaced."""
    try:
        mode = os.stat(real).st_mode
    except FileNotFoundError:
        return True
    except OSError as error:
        raise _unwritable(path, error) from None
    if stat.S_ISDIR(mode):
        raise UsageError(f"cannot write {path!r}: it is a directory; name a file in it")
    return stat.S_ISREG(mode)


def _unwritable(path: str, error: OSError) -> UsageError:
    return UsageError(f"cannot write {path!r}: {error.strerror or error}")


@contextmanager
def _direct(path: str, real: str) -> Iterator[TextIO]:
    try:
        stream = open(real, "w", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115 (closed below, where a failure is told)
    except OSError as error:
        raise _unwritable(path, error) from None
    with _telling(path):
        try:
            yield stream
            stream.flush()
        finally:
            with suppress(OSError):
                stream.close()


@contextmanager
def _temporary(path: str, real: str) -> Iterator[TextIO]:
    folder, name = os.path.split(real)
    try:
        if os.path.exists(real) and not os.access(real, os.W_OK):
            raise PermissionError(None, "Permission denied")
        descriptor, partial = tempfile.mkstemp(prefix=f".{name[:64]}.", dir=folder)
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        with _telling(path):
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as stream:
                yield stream
                stream.flush()
                os.fchmod(stream.fileno(), _mode(real))
                os.fsync(stream.fileno())
            os.replace(partial, real)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(partial)


def _mode(real: str) -> int:
    """The permissions of the file that is replaced, or those of a new one."""
    try:
        return stat.S_IMODE(os.stat(real).st_mode)
    except FileNotFoundError:
        umask = os.umask(0)
        os.umask(umask)
        return 0o666 & ~umask


@contextmanager
def _telling(path: str) -> Iterator[None]:
    """Turn a failure to write into one sentence."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise WriteFailed(f"cannot write {path!r}: {error.strerror or error}; nothing was kept") from None
