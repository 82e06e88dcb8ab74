"""What Debian's package index offers: pure functions over the stanzas that `apt-cache show` prints.

Up to 6.18 a kernel is one package, linux-image-ABI.  From 6.19 on that is an empty metapackage, and the kernel is in
linux-binary-ABI, linux-modules-ABI and linux-base-ABI.  Indices also hold binaries whose modules are gone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from pinhold.lab.errors import LabError

FLAVOURS = ("cloud-amd64", "amd64")
"""In order of preference: the cloud kernels are small and have all that the lab needs."""

NAMES = r"^(linux-(image|binary|modules|base|headers)-[0-9].*amd64|linux-headers-[0-9].*-common|linux-kbuild-[0-9].*)$"
"""The packages worth asking the index for, as a regular expression of apt."""

NEWEST = "newest"
_SPLIT_SINCE = (6, 19)
_IMAGE = re.compile(r"linux-(image|binary)-(\d+\.\d+\.\d\S*?(?<!-rt))-(cloud-amd64|amd64)")
"""Not a metapackage, whose name has two numbers only."""


@dataclass(frozen=True, slots=True)
class Package:
    """One version of one package.  size: bytes to download; installed: bytes on the disk."""

    name: str
    version: str
    size: int
    installed: int
    depends: str

    @property
    def release(self) -> str:
        """The kernel's exact release: "6.1.192" of "6.1.192-2"."""
        match = re.match(r"(?:\d+:)?(\d+\.\d+(?:\.\d+)?)", self.version)
        return match[1] if match else self.version

    @property
    def exact(self) -> str:
        """As apt wants to hear it."""
        return f"{self.name}={self.version}"


@dataclass(frozen=True, slots=True)
class Offer:
    """A kernel that can be fetched.  release: "6.1.192"; headers: empty where the index has not all of them."""

    release: str
    flavour: str
    packages: tuple[Package, ...]
    headers: tuple[Package, ...]

    @property
    def series(self) -> str:
        return series(self.release)

    @property
    def size(self) -> int:
        """Bytes to download, headers apart."""
        return sum(package.size for package in self.packages)


def series(release: str) -> str:
    """ "6.1" of "6.1.192"."""
    return ".".join(release.split(".")[:2])


def numbers(release: str) -> tuple[int, ...]:
    """For sorting."""
    return tuple(int(part) for part in re.findall(r"\d+", release))


def packages(text: str) -> Iterator[Package]:
    """The packages of stanzas."""
    for stanza in re.split(r"\n\s*\n", text):
        fields = dict(re.findall(r"^([A-Za-z0-9-]+): ?(.*)$", stanza, re.MULTILINE))
        if "Package" in fields and "Version" in fields:
            yield Package(
                fields["Package"],
                fields["Version"],
                int(fields.get("Size", "0")),
                int(fields.get("Installed-Size", "0")) * 1024,
                fields.get("Depends", ""),
            )


def offers(found: Iterable[Package]) -> list[Offer]:
    """What can be fetched, oldest first: the newest build of each release, in the preferred flavour."""
    by_name: dict[str, list[Package]] = {}
    for package in found:
        by_name.setdefault(package.name, []).append(package)
    best: dict[str, Offer] = {}
    for versions in list(by_name.values()):
        for package in versions:
            offer = _offer(package, by_name)
            if offer is not None and _rank(offer) > _rank(best.get(offer.release)):
                best[offer.release] = offer
    return sorted(best.values(), key=lambda offer: numbers(offer.release))


def _rank(offer: Offer | None) -> tuple[int, tuple[int, ...]]:
    if offer is None:
        return (-1, ())
    return (-FLAVOURS.index(offer.flavour) + len(FLAVOURS), numbers(offer.packages[0].version))


def _offer(package: Package, by_name: dict[str, list[Package]]) -> Offer | None:
    match = _IMAGE.fullmatch(package.name)
    if match is None:
        return None
    kind, abi, flavour = match.groups()
    split = numbers(package.release)[:2] >= _SPLIT_SINCE
    if split != (kind == "binary"):
        return None
    parts = [package]
    for part in ("modules", "base") if split else ():
        other = _same_build(by_name, f"linux-{part}-{abi}-{flavour}", package)
        if other is None:
            return None
        parts.append(other)
    return Offer(package.release, flavour, tuple(parts), _headers(by_name, f"linux-headers-{abi}-{flavour}", package))


def _same_build(by_name: dict[str, list[Package]], name: str, of: Package) -> Package | None:
    """The package of that name at the version of `of`; a signed image can count a build more than what it signs."""
    versions = by_name.get(name, [])
    exact = [package for package in versions if package.version == of.version]
    return next(iter(exact or [package for package in versions if package.release == of.release]), None)


def _headers(by_name: dict[str, list[Package]], name: str, of: Package) -> tuple[Package, ...]:
    """The flavour's headers and what of the kernel they depend on; nothing where one of it is missing."""
    own = _same_build(by_name, name, of)
    if own is None:
        return ()
    needed = re.findall(r"(linux-headers-\S+-common|linux-kbuild-[^\s,]+)", own.depends)
    found = [own, *(_same_build(by_name, other, own) for other in needed)]
    whole = tuple(package for package in found if package is not None)
    return whole if len(whole) == len(found) and len(found) > 1 else ()


def choose(available: Sequence[Offer], wanted: str) -> Offer:
    """The newest offer of a series ("6.1"), of an exact release ("6.1.192") or of all ("newest").  Raises LabError."""
    if not available:
        raise LabError("the package index offers no kernel: see `pinhold kernels list`")
    fitting = [offer for offer in available if wanted in (NEWEST, offer.series, offer.release)]
    if fitting:
        return fitting[-1]
    known = list(dict.fromkeys([offer.series for offer in available] + [offer.release for offer in available]))
    near = get_close_matches(wanted, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(dict.fromkeys(o.series for o in available))}"
    raise LabError(f"the package index has no kernel {wanted}: {hint}")
