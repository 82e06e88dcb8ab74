"""A git repository whose commits name what they would be built to, and `git bisect run` in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

_PLAIN = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "LC_ALL": "C"}
_WHO = {
    f"GIT_{who}_{what}": word for who in ("AUTHOR", "COMMITTER") for what, word in (("NAME", "n"), ("EMAIL", "e@e"))
}


def git_missing() -> bool:
    """Whether there is no git here."""
    return shutil.which("git") is None


class Repository:
    """folder: its place, with the script `try` beside it, in which $PINHOLD is the program and the file `target` is the
    commit's."""

    def __init__(self, folder: Path, script: str) -> None:
        self.folder = folder / "repository"
        self.folder.mkdir()
        self._script = folder / "try"
        self._script.write_text(f"PINHOLD='{sys.executable} -I -m pinhold'\n{script}\n")
        self._commits: list[str] = []
        self._git("init", "-q")

    def commit(self, *targets: str) -> None:
        """One commit for each, in order."""
        for number, target in enumerate(targets):
            (self.folder / "target").write_text(f"{target}\n")
            (self.folder / "number").write_text(f"{number}\n")
            self._git("add", "-A")
            self._git("commit", "-q", "-m", f"{number}: {target}")
            self._commits.append(self._git("rev-parse", "HEAD").stdout.strip())

    def bisect(self) -> subprocess.CompletedProcess[str]:
        """From the first commit, which is good, to the last, which is bad."""
        self._git("bisect", "start", self._commits[-1], self._commits[0])
        return self._git("bisect", "run", "sh", str(self._script), check=False)

    def first_bad(self) -> int | None:
        """Which commit is the first bad one, once it is known."""
        return next((n for n, name in enumerate(self._commits) if f"first bad commit: [{name}]" in self.log()), None)

    def log(self) -> str:
        """What git was told."""
        return self._git("bisect", "log").stdout

    def _git(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["git", *words],
            cwd=self.folder,
            env={**os.environ, **_PLAIN, **_WHO},
            capture_output=True,
            text=True,
            check=check,
        )
