"""Where things are in a guest."""

AGENT = "pinhold.lab.agent"

CODE = "/pinhold"
"""pinhold's own code."""

MODULES = "/modules"

SWAP = "swap"
FILES = "files"
"""The disks, by the serial numbers that tell them apart."""

FILES_AT = "/files"
"""Where the second one is mounted."""

MOUNTS = ("dev", "proc", "sys", "scratch", "files")
"""Directories that file systems are mounted on: nothing of the archive is below them."""
