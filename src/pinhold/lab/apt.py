"""Debian's packages by apt, without root and without touching the machine's own apt.

A private configuration: own lists and cache, and as sources the machine's own mirrors, with the suites that hold
kernels.  apt authenticates every index by Debian's archive keyring, and every package by its index.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pinhold import trust
from pinhold.lab.errors import LabError
from pinhold.lab.index import NAMES, Package, packages

KEYRINGS = tuple(
    Path("/usr/share/keyrings", name) for name in ("debian-archive-keyring.gpg", "debian-archive-keyring.pgp")
)
MAIN_SUITES = ("bookworm", "trixie", "trixie-backports")
SECURITY_SUITES = ("bullseye-security", "bookworm-security")

OWN_KERNEL = "one's own kernel works without: --on vm:PATH of its bzImage"
_UNKNOWN = ("", "$(ORIGIN)")
"""What apt prints for the origin before it has read the source's index."""
_FRESH_SECONDS = 24 * 3600
_INDEX_SECONDS = 300
_INDEX_MEGABYTES = 100
_DOWNLOAD_SECONDS = 1800

Progress = Callable[[int, int], None]
"""Bytes done and bytes in all."""


@dataclass(frozen=True, slots=True)
class Mirrors:
    """Base addresses, as the machine's own sources have them."""

    main: str
    security: str


def mirrors(listing: str) -> Mirrors:
    """From `apt-get indextargets`, lines "ADDRESS|ORIGIN|SUITE".  Raises LabError where no source is Debian's."""
    found: dict[bool, str] = {}
    for line in listing.splitlines():
        address, origin, suite = (*line.split("|"), "", "")[:3]
        tail = address.rstrip("/").rsplit("/", 1)[-1]
        if origin == "Debian" or (origin in _UNKNOWN and tail in ("debian", "debian-security")):
            found.setdefault("security" in suite or tail == "debian-security", address.rstrip("/"))
    if not found:
        raise LabError(f"no apt source of this machine is a Debian mirror, so nothing can be fetched; {OWN_KERNEL}")
    main = found.get(False) or re.sub(r"-security$", "", found[True])
    return Mirrors(main, found.get(True) or f"{main}-security")


NO_SPACE = "no space is left on the device"


class Apt:
    """root: the directory of the private configuration, which keeps the index between runs.  suites, security: of
    Debian's archive and of its security archive; components: main, contrib, ..."""

    def __init__(
        self,
        root: Path,
        suites: Sequence[str] = MAIN_SUITES,
        security: Sequence[str] = SECURITY_SUITES,
        components: Sequence[str] = ("main",),
    ) -> None:
        self._root, self._suites, self._security = root, suites, security
        self._components = " ".join(components)

    def prepare(self) -> None:
        """Write the configuration.  Raises LabError where apt, its keyring or a mirror is missing."""
        for tool in ("apt-get", "apt-cache", "dpkg-deb"):
            _program(tool)
        keyring = next((path for path in KEYRINGS if path.exists()), None)
        if keyring is None:
            raise LabError(
                f"nothing is fetched unauthenticated: Debian's archive keyring {KEYRINGS[0]} is missing; "
                f"install debian-archive-keyring, or {OWN_KERNEL}"
            )
        listing = _run([_program("apt-get"), "indextargets", "--format", "$(REPO_URI)|$(ORIGIN)|$(SUITE)"], 60)
        places = mirrors(listing)
        lines = [
            f"deb [arch=amd64 lang=none target=Packages signed-by={keyring}] {address} {suite} {self._components}"
            for address, suites in ((places.main, self._suites), (places.security, self._security))
            for suite in suites
        ]
        try:
            trust.cache_directory(self._root)
            for folder in ("lists/partial", "cache/archives/partial"):
                (self._root / folder).mkdir(parents=True, exist_ok=True)
            (self._root / "status").touch()
            (self._root / "sources.list").write_text("\n".join(lines) + "\n")
            (self._root / "apt.conf").write_text(_CONFIGURATION.format(root=self._root))
        except OSError as error:
            raise LabError(f"{error.filename}: {error.strerror}") from None

    def index(self, refresh: bool = True) -> list[Package]:
        """The kernel packages of the index, which is brought up to date when it is older than a day."""
        names = self.names(NAMES, refresh)
        return list(packages(self._apt("apt-cache", "show", *names)))

    def names(self, pattern: str, refresh: bool = True) -> list[str]:
        """The packages whose names have the pattern, a regular expression.  Raises LabError where there is none."""
        stamp = self._root / "updated"
        stale = not stamp.exists() or time.time() - stamp.stat().st_mtime > _FRESH_SECONDS
        failure = ""
        if refresh and stale:
            self._room()
            try:
                self._apt("apt-get", "-q", "update", seconds=_INDEX_SECONDS)
                stamp.touch()
            except LabError as error:  # a suite may be gone, or the network: what was there before serves
                if NO_SPACE in str(error):
                    raise LabError(f"the package index does not fit into {self._root}: {NO_SPACE}") from None
                failure = f": {error}"
        names = [
            line.split()[0] for line in self._apt("apt-cache", "search", "--names-only", "--", pattern).splitlines()
        ]
        if not names:
            raise LabError(f"the package index cannot be read{failure}; {OWN_KERNEL}")
        return names

    def versions(self, name: str) -> list[str]:
        """Those of a package, as the index lists them: the newest first.  Raises LabError."""
        rows = [line.split("|") for line in self._apt("apt-cache", "madison", name).splitlines()]
        return [row[1].strip() for row in rows if len(row) > 1]

    def _room(self) -> None:
        free = shutil.disk_usage(self._root).free >> 20
        if free < _INDEX_MEGABYTES:
            raise LabError(
                f"the package index needs {_INDEX_MEGABYTES} MB in {self._root}, and {free} MB are free there; "
                "XDG_CACHE_HOME chooses another place"
            )

    def download(self, wanted: Sequence[Package | str], folder: Path, progress: Progress) -> list[Path]:
        """The packages as files in `folder`, authenticated by apt; a name alone means its newest version."""
        names = [item if isinstance(item, str) else item.exact for item in wanted]
        total = sum(item.size for item in wanted if isinstance(item, Package))
        command = [*self._command("apt-get"), "-q", "download", *names]
        with subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=trust.environment(),
        ) as apt:
            deadline = time.monotonic() + _DOWNLOAD_SECONDS
            try:
                errors = ""
                while True:
                    try:
                        _, errors = apt.communicate(timeout=0.3)
                        break
                    except subprocess.TimeoutExpired:
                        progress(sum(file.stat().st_size for file in folder.glob("*.deb*")), total)
                        if time.monotonic() > deadline:
                            raise LabError(f"{names[0]} did not come in {_DOWNLOAD_SECONDS // 60} minutes") from None
            except BaseException:
                apt.kill()
                raise
        if apt.returncode:
            raise LabError(f"{names[0]} could not be fetched: {_last_line(errors)}")
        return sorted(folder.glob("*.deb"))

    def _command(self, tool: str) -> list[str]:
        return [_program(tool), "-c", str(self._root / "apt.conf")]

    def _apt(self, tool: str, *arguments: str, seconds: int = 120) -> str:
        return _run([*self._command(tool), *arguments], seconds)


_CONFIGURATION = """\
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
APT::Architecture "amd64";
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
Acquire::Retries "2";
Acquire::http::Timeout "20";
Acquire::AllowInsecureRepositories "false";
Dir::State "{root}";
Dir::State::Lists "{root}/lists";
Dir::State::status "{root}/status";
Dir::Cache "{root}/cache";
Dir::Etc::SourceList "{root}/sources.list";
Dir::Etc::SourceParts "-";
"""


def unpack(package: Path, folder: Path) -> None:
    """The package's files.  Raises LabError."""
    _run([_program("dpkg-deb"), "-x", str(package), str(folder)], 300)


def _program(name: str) -> str:
    try:
        return trust.program(name)
    except trust.NoProgram as reason:
        raise LabError(f"fetching kernels needs {reason}; {OWN_KERNEL}") from None


def _run(command: Sequence[str], seconds: int) -> str:
    tool = command[0].rpartition("/")[2]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            env=trust.environment(LC_ALL="C", DEBIAN_FRONTEND="noninteractive"),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise LabError(f"{tool} did not end within {seconds} s: is the network there?") from None
    if done.returncode:
        raise LabError(f"{tool} failed: {_last_line(done.stderr)}")
    return done.stdout


def _last_line(errors: str) -> str:
    """The line of a tool's errors that says most: the first that is one, else the last."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    telling = [line.removeprefix("E: ") for line in lines if line.startswith("E: ")]
    for line in lines:
        if "No space left" in line:
            return NO_SPACE
    return (telling or lines or ["it gave no reason"])[0]
