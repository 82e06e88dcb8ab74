"""The errnos of Linux on x86-64, whatever machine pinhold runs on."""

from __future__ import annotations

ERRNO = {
    "EPERM": 1, "ENOENT": 2, "ESRCH": 3, "EINTR": 4, "EIO": 5, "ENXIO": 6, "E2BIG": 7, "ENOEXEC": 8, "EBADF": 9,
    "ECHILD": 10, "EAGAIN": 11, "ENOMEM": 12, "EACCES": 13, "EFAULT": 14, "ENOTBLK": 15, "EBUSY": 16, "EEXIST": 17,
    "EXDEV": 18, "ENODEV": 19, "ENOTDIR": 20, "EISDIR": 21, "EINVAL": 22, "ENFILE": 23, "EMFILE": 24, "ENOTTY": 25,
    "ETXTBSY": 26, "EFBIG": 27, "ENOSPC": 28, "ESPIPE": 29, "EROFS": 30, "EMLINK": 31, "EPIPE": 32, "EDOM": 33,
    "ERANGE": 34, "EDEADLK": 35, "ENAMETOOLONG": 36, "ENOSYS": 38, "EOVERFLOW": 75, "EOPNOTSUPP": 95,
    "ETIMEDOUT": 110, "EDQUOT": 122, "EHWPOISON": 133,
}  # fmt: skip
"""Name to number."""

OK = "OK"
"""How a scenario writes errno 0."""

_NAMES = {number: name for name, number in ERRNO.items()}


def errno_name(number: int) -> str:
    """The name of an errno; "OK" for 0, "errno N" for one that has no name here."""
    return OK if number == 0 else _NAMES.get(number, f"errno {number}")
