"""What a file is that was given as a kernel's image: a whole bzImage for x86-64, or what else, in words."""

from __future__ import annotations

_MAGIC = b"HdrS"
_HEAD = 0x264
"""Bytes of the setup header (Documentation/arch/x86/boot.rst)."""
_SECTOR = 512
_LOADFLAGS_SINCE = 0x20C
_KERNEL_64 = 1
"""XLF_KERNEL_64 of xloadflags, which protocol 2.12 and later have."""

_BUILT = "a kernel's tree has it as arch/x86/boot/bzImage"

_OTHERS = (
    (0, b"\x7fELF", f"is an ELF file, as vmlinux is, and no bzImage: {_BUILT}"),
    (0x38, b"ARMd", "is a kernel for arm64 and no bzImage: guests are x86-64"),
    (0x38, b"RISCV", "is a kernel for RISC-V and no bzImage: guests are x86-64"),
    (0, b"\x27\x05\x19\x56", "is a uImage, as U-Boot boots it, and no bzImage: guests are x86-64"),
    (0, b"\x1f\x8b", f"is compressed by gzip, and no bzImage: {_BUILT}"),
    (0, b"\x28\xb5\x2f\xfd", f"is compressed by zstd, and no bzImage: {_BUILT}"),
    (0, b"\xfd7zXZ\0", f"is compressed by xz, and no bzImage: {_BUILT}"),
    (0, b"070701", f"is an initramfs, and no bzImage: {_BUILT}"),
    (0, b"!<arch>\n", "is an archive, as a Debian package is, and no bzImage: the kernel is in it as boot/vmlinuz"),
)
"""Where in a file, what bytes, and what that is."""


def foreign(head: bytes, size: int) -> str | None:
    """What follows the name of a file that is no whole bzImage of a 64-bit kernel; None for one that is.

    head: how it begins, 64 KiB or the whole file; size: its bytes.
    """
    if not head:
        return "is empty"
    if head[0x202:0x206] != _MAGIC:
        return _other(head)
    if size < _HEAD:
        return f"is cut off: it has {size} bytes, and the header of a bzImage alone has more"
    protocol = int.from_bytes(head[0x206:0x208], "little")
    if protocol >= _LOADFLAGS_SINCE and not head[0x236] & _KERNEL_64:
        return "is a kernel for 32 bits (CONFIG_64BIT is off): guests are x86-64"
    code = int.from_bytes(head[0x1F4:0x1F8], "little") * 16
    whole = ((head[0x1F1] or 4) + 1) * _SECTOR + code
    if code and size < whole:
        return f"is cut off: it has {size} bytes, and its header tells of {whole}"
    return None


def _other(head: bytes) -> str:
    for at, magic, words in _OTHERS:
        if head[at : at + len(magic)] == magic:
            return words
    if b"\0" not in head:
        return f"is a text, and no bzImage: {_BUILT}"
    return f"is no bzImage: {_BUILT}"
