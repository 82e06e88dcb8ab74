"""A guest's disks."""

import os
from pathlib import Path

import pytest

from pinhold.lab import disk
from pinhold.lab.errors import LabError


def test_the_disk_for_files_is_ext4_and_sparse() -> None:
    """Its superblock is there, its size is what was asked for, and nearly all of it takes no memory; it has no name."""
    if reason := disk.missing():
        pytest.skip(reason)
    with disk.ext4("files", 64) as file:
        assert os.pread(file.fileno(), 2, 1024 + 56) == b"\x53\xef"
        seen = os.fstat(file.fileno())
        assert seen.st_size == 64 << 20
        assert seen.st_blocks * 512 < 1 << 20
        assert seen.st_nlink == 0


def test_without_mkfs_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence with the program and the package."""
    monkeypatch.setattr(disk, "_SBIN", "/nonexistent")
    monkeypatch.setenv("PATH", "/nonexistent")
    words = "the guest's disk for them needs mkfs.ext4, which is not here: apt-get install e2fsprogs"
    assert disk.missing() == words
    with pytest.raises(LabError, match="ext4, which is not here"):
        disk.ext4("files", 64)


def test_a_mkfs_that_fails_is_told_in_its_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The program, and what it said."""
    program = tmp_path / disk.MKFS
    program.write_text("#!/bin/sh\necho 'no space' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(disk, "_SBIN", str(tmp_path))
    with pytest.raises(LabError, match="made no file system: no space"):
        disk.ext4("files", 64)
