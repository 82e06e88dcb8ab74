"""What reports call a target: NAME of NAME=TARGET on the command line, or TARGET, or the end of a long path.

`base=vm:../linux/build/arch/x86/boot/bzImage` is that kernel under the name `base`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath

from pinhold.commands import UsageError

_NAMED = re.compile(r"([A-Za-z0-9][\w.+-]*)=((?:model|vm):.*|live.*)", re.DOTALL)
_LONGEST = 24
"""Characters of a name of one's own, and of a path that is shown whole."""

_BUILT = ("arch", "boot", "bzImage")


def split(text: str) -> tuple[str | None, str]:
    """(name of one's own, target).  A model's RULE=VALUE is no name.  Raises UsageError."""
    match = _NAMED.fullmatch(text)
    if match is None:
        return None, text
    if len(match[1]) > _LONGEST:
        raise UsageError(f"the name {match[1]!r} of {match[2]} is too long: {_LONGEST} characters at most")
    return match[1], match[2]


def targets(texts: Sequence[str]) -> list[str]:
    """The targets without their names."""
    return [split(text)[1] for text in texts]


def called(texts: Sequence[str]) -> list[str]:
    """What each target is called, in order.  Raises UsageError where two different ones have one name."""
    names, whole = zip(*map(split, texts), strict=True) if texts else ((), ())
    paths = dict.fromkeys(t for n, t in zip(names, whole, strict=True) if n is None and len(t) > _LONGEST and "/" in t)
    short = dict(zip(paths, _distinct([target.partition(":")[2] for target in paths]), strict=True))
    found = [name or short.get(target, target) for name, target in zip(names, whole, strict=True)]
    for name, count in Counter(name for name, _ in dict.fromkeys(zip(found, whole, strict=True))).items():
        if count > 1:
            raise UsageError(f"{count} targets are called {name!r}: give each another name, as in NAME=TARGET")
    return found


def _distinct(paths: Sequence[str]) -> list[str]:
    """The ends of the paths of images, of each as little as tells it from the others."""
    parts = [_telling(path) for path in paths]
    ends = []
    for own in parts:
        others = [other for other in parts if other != own]
        length = next((n for n in range(1, len(own)) if all(own[-n:] != other[-n:] for other in others)), len(own))
        ends.append(f"vm:…/{'/'.join(own[-length:])}" if length < len(own) else f"vm:{'/'.join(own)}")
    return ends


def _telling(path: str) -> tuple[str, ...]:
    """The parts of an image's path, without those that every build tree has."""
    parts = PurePath(path).parts
    built = len(parts) > 4 and (parts[-4], parts[-2], parts[-1]) == _BUILT
    own = parts[:-4] if built else parts
    return ("", *own[1:]) if own[0] == "/" else own
