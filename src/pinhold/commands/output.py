"""Where a command's output goes: standard output, or a file, which has each line as soon as it is known."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from pinhold import trust
from pinhold.commands import UsageError, WriteFailed
from pinhold.report.terminal import into_a_file


@contextmanager
def output(path: str | None) -> Iterator[TextIO]:
    """The stream to write to.  A file is made, or emptied, before any work is done; what was written to it stays.

    Raises UsageError where the file cannot be made, and WriteFailed where writing fails.
    """
    if path is None:
        yield sys.stdout
        return
    try:
        descriptor = trust.create(path)
    except IsADirectoryError:
        raise UsageError(f"cannot write {path!r}: it is a directory; name a file in it") from None
    except trust.Untrusted as reason:
        raise UsageError(f"cannot write {path!r}: {reason.filename}: {reason.strerror}") from None
    except OSError as error:
        raise UsageError(f"cannot write {path!r}: {error.strerror or error}") from None
    stream = open(descriptor, "w", buffering=1, encoding="utf-8", errors="backslashreplace")  # noqa: SIM115 (closed below, where a failure is told)
    try:
        with into_a_file():
            yield stream
        stream.flush()
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.fsync(descriptor)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise WriteFailed(f"cannot write {path!r}: {error.strerror or error}; it has what was written before") from None
    finally:
        with suppress(OSError):
            stream.close()
