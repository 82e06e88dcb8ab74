"""The configuration of a kernel that is not running: from the file beside its image, or from the image itself."""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from pinhold.lab.store import Kernel
from pinhold.lab.vmlinux import decompress, payload
from pinhold.targets.live import kconfig

_BEGIN = b"IKCFG_ST"
"""What CONFIG_IKCONFIG puts before the compressed configuration."""

_GZIP = 16 + zlib.MAX_WBITS


def configuration(kernel: Kernel) -> Mapping[str, str]:
    """Name without CONFIG_ to value; empty where nothing tells it."""
    return kconfig.parse(text(kernel))


def text(kernel: Kernel) -> str:
    """The .config itself, or ""."""
    return kernel.text or embedded(kernel.image)


@cache
def embedded(image: Path) -> str:
    """That in a bzImage; "" where it has none, or cannot be decompressed here."""
    try:
        packed = payload(image.read_bytes())
        unpacked = decompress(packed) if packed else None
    except (OSError, EOFError, lzma.LZMAError, zlib.error):
        return ""
    _, found, rest = (unpacked or b"").partition(_BEGIN)
    try:
        return zlib.decompressobj(_GZIP).decompress(rest).decode("utf-8", "replace") if found else ""
    except zlib.error:
        return ""


_SYMPTOMS = {"No working init found": "BINFMT_SCRIPT", "where a result belongs": "SERIAL_8250_NR_UARTS"}
"""Words with which a guest is lost at boot, and the option that is off then."""


def suspected(kernel: Kernel, words: str) -> str | None:
    """What may be off in a kernel whose configuration nothing tells, by how its guest was lost; None: no idea."""
    if configuration(kernel):
        return None
    option = next((kconfig.OPTIONS[name] for symptom, name in _SYMPTOMS.items() if symptom in words), None)
    return None if option is None else f"is CONFIG_{option.name} off in this kernel? Guests need it for {option.gives}"


def unbootable(kernel: Kernel) -> str | None:
    """Why no guest can come up on it, in words, as far as its configuration tells."""
    config = configuration(kernel)
    for option in kconfig.lacks(config):
        if option.boots:
            return f"{kconfig.without(option.name, config=config)}: guests need it for {option.gives}"
    return None
