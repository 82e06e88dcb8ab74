"""Where things are in a guest."""

AGENT = "pinhold.lab.agent"

CODE = "/pinhold"
"""pinhold's own code."""

MODULES = "/modules"

MOUNTS = ("dev", "proc", "sys", "scratch")
"""Directories that file systems are mounted on: nothing of the archive is below them."""
