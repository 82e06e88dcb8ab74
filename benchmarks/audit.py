"""What `pinhold audit` finds in whole kernels, beside an independent count and beside what is known to be there.

    python benchmarks/audit.py TREE...     trees of Linux that are unpacked already
    python benchmarks/audit.py --fetch     Debian's linux-source-6.1, -6.12 and the newest, by apt and without root,
                                           and the last 6.1 before 6.1.191
    python benchmarks/audit.py --fetch --confirm vm:6.1     the stale pin of sev.c in a guest, too
    python benchmarks/audit.py --dkms FOLDER [PART...]      Debian's *-dkms packages, which are kept in FOLDER

Every call that the count sees has to be found, and no other.  6.1 has the drivers from which the series that made
read-only pins reliable took FOLL_FORCE, and nothing else; later kernels have none.  6.1.191 and later have the stale
pin of sev.c.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from audit_dkms import modules
from pinhold import trust
from pinhold.audit.audit import Audit, audit
from pinhold.audit.files import find, release_of
from pinhold.audit.oracle import Oracle
from pinhold.commands.audit_confirm import confirm
from pinhold.lab.apt import Apt, unpack
from pinhold.lab.errors import LabError
from pinhold.mm.releases import releases, split, stand_in

GUP = [
    "get_user_pages",
    "get_user_pages_longterm",
    "get_user_pages_fast",
    "get_user_pages_fast_only",
    "__get_user_pages_fast",
    "get_user_page_fast_only",
    "get_user_pages_remote",
    "get_user_pages_unlocked",
    "get_user_pages_locked",
    "get_user_page_vma_remote",
    "pin_user_pages",
    "pin_user_pages_fast",
    "pin_user_pages_fast_only",
    "pin_user_pages_remote",
    "pin_user_pages_unlocked",
    "pin_user_pages_locked",
]
ABOVE = [
    "memfd_pin_folios",
    "iov_iter_get_pages",
    "iov_iter_get_pages2",
    "iov_iter_get_pages_alloc",
    "iov_iter_get_pages_alloc2",
    "iov_iter_extract_pages",
    "extract_iter_to_sg",
    "iov_iter_extract_bvecs",
    "bio_iov_iter_get_pages",
    "bio_iov_iter_get_pages_aligned",
    "get_vaddr_frames",
    "vb2_create_framevec",
    "ib_umem_get",
    "ib_umem_get_peer",
    "__get_user_pages",
]

FORCED = {
    "drivers/gpu/drm/etnaviv/etnaviv_gem.c": ["etnaviv_gem_userptr_get_pages"],
    "drivers/gpu/drm/exynos/exynos_drm_g2d.c": ["g2d_userptr_get_dma_addr"],
    "drivers/infiniband/core/umem.c": ["ib_umem_get"],
    "drivers/infiniband/hw/qib/qib_user_pages.c": ["qib_get_user_pages"],
    "drivers/infiniband/hw/usnic/usnic_uiom.c": ["usnic_uiom_get_pages"],
    "drivers/infiniband/sw/siw/siw_mem.c": ["siw_umem_get"],
    "drivers/media/common/videobuf2/frame_vector.c": ["get_vaddr_frames"],
    "drivers/media/pci/ivtv/ivtv-udma.c": ["ivtv_udma_setup"],
    "drivers/media/pci/ivtv/ivtv-yuv.c": ["ivtv_yuv_prep_user_dma", "ivtv_yuv_prep_user_dma"],
    "drivers/media/v4l2-core/videobuf-dma-sg.c": ["videobuf_dma_init_user_locked"],
    "drivers/misc/habanalabs/common/memory.c": ["get_user_memory"],
}
"""Patches 10 to 19 of the series: file -> the function of each call."""

SEV, REGISTERS, BACKPORTED = "arch/x86/kvm/svm/sev.c", "sev_mem_enc_register_region", 191
"""Where a backport passes FOLL_LONGTERM alone, and since which patch level of 6.1."""

_NOISE = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.DOTALL)
_DEFINE = re.compile(r"^[ \t]*#[ \t]*define\b(?:[^\n]*\\\n)*[^\n]*", re.MULTILINE)
_TYPES = "static|extern|inline|__always_inline|noinline|const|long|int|unsigned|ssize_t|struct|void|bool|size_t"
_DECLARED = re.compile(rf"\s*(?:{_TYPES})\b[\w\s*]*")


def count(path: str, text: str, names: Sequence[str]) -> Iterator[tuple[str, int, str]]:
    """Every call by text alone: (path, line, name), without comments, strings, prototypes, definitions and #define."""
    bare = _NOISE.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)
    bare = _DEFINE.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), bare)
    for match in re.finditer(rf"(?<!\w)({'|'.join(names)})\s*\(", bare):
        begun = max(bare.rfind(mark, 0, match.start()) for mark in ";{}") + 1
        before = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*\n", "", bare[begun : match.start()], flags=re.MULTILINE)
        declared = _DECLARED.fullmatch(before) and not re.search(r"\breturn\b", before)
        if not declared:
            yield path, bare.count("\n", 0, match.start()) + 1, match[1]


def check(root: Path, confirm: str = "") -> list[str]:
    """Audit one tree and print its row; gives what is not as it should be.  confirm: a target for the pin of sev.c."""
    begun = time.process_time()
    release = release_of(root)
    made = audit(find([str(root)]), release, Oracle(stand_in(release)[0]))
    seconds = time.process_time() - begun
    wrong = []
    cells = []
    for names in (GUP, ABOVE):
        told = {one for path, text in made.reading.tree.sources.items()
                for one in count(path, text.decode("latin1"), names)}  # fmt: skip
        seen = {(site.path, site.line, site.call.name) for site in made.sites if site.call.name in names}
        cells.append(f"{len(told)} / {len(told & seen)}")
        wrong += [f"{release}: not found: {one}" for one in sorted(told - seen)]
        wrong += [f"{release}: found alone: {one}" for one in sorted(seen - told)]
    outside = [site for site in made.sites if site.gup and not re.match(r"mm/gup|include/", site.path)]
    resolved = sum(site.resolved for site in outside)
    kinds = [f"{severity} {len(made.at(severity))}" for severity in ("error", "warning", "note")]
    print(f"| {release} | {' | '.join(cells)} | {resolved} of {len(outside)} | {', '.join(kinds)} | {seconds:.1f} s |")
    return wrong + list(_known(made, release)) + (_confirmed(made, confirm) if confirm else [])


def _confirmed(made: Audit, target: str) -> list[str]:
    """Run the test of sev.c's stale pin, and print what the target says; gives that where it is no confirmation."""
    found = [one.scenario for one in made.findings if one.kind == "STALE" and one.path == SEV and one.scenario]
    said = list(confirm(found[:1], target).values())
    for words in said:
        print(f"{SEV} of {made.release}: {words}", file=sys.stderr)
    return [f"{SEV} of {made.release}: {words}" for words in said if not words.startswith("confirmed")]


def _known(made: Audit, release: str) -> Iterator[str]:
    """What is not as it is known to be."""
    calls = {(one.path, one.line, one.function) for one in made.findings if one.kind == "FORCE"}
    forced = sorted((path, function) for path, _, function in calls)
    series, patch = split(release)
    wanted = sorted((path, one) for path, functions in FORCED.items() for one in functions) if series == "6.1" else []
    if series != "5.10" and forced != wanted:
        yield f"{release}: FOLL_FORCE in {forced}, and not in {wanted}"
    stale = [one for one in made.findings if one.kind == "STALE" and one.path == SEV]
    stale = [one for one in stale if any(way[0].function == REGISTERS for way in one.callers)]
    expected = series == "6.1" and int(patch or 0) >= BACKPORTED
    if series != "5.10" and bool(stale) != expected:
        yield f"{release}: the pin of sev.c is {'stale' if stale else 'not stale'}"


def fetch(folder: Path) -> list[Path]:
    """Debian's sources, unpacked there."""
    apt = Apt(trust.cache_dir() / "apt")
    apt.prepare()
    apt.index()
    trees = []
    for choice in (["6.1"], _earlier(apt), ["6.12"], list(reversed(releases()))):
        if not choice:
            print(
                "Debian has no 6.1 before 6.1.191 any more: that it has no stale pin was not looked at", file=sys.stderr
            )
            continue
        place = folder / choice[0]
        place.mkdir()
        package = _package(apt, choice, place)
        unpack(package, place)
        (archive,) = (place / "usr" / "src").glob("linux-source-*.tar.*")
        subprocess.run(["tar", "-xf", archive, "-C", place, "--strip-components=1"], check=True)
        trees.append(place)
    return trees


def _earlier(apt: Apt) -> list[str]:
    """The last linux-source-6.1 before the backport, as apt takes it; nothing where Debian has none any more."""
    patches = [(version, re.match(r"6\.1\.(\d+)-\d+$", version)) for version in apt.versions("linux-source-6.1")]
    found = [version for version, level in patches if level and int(level[1]) < BACKPORTED]
    return [f"6.1={found[0]}"] if found else []


def _package(apt: Apt, choice: Sequence[str], place: Path) -> Path:
    """The first of these series that Debian has.  Raises LabError."""
    for series in choice:
        try:
            (package,) = apt.download([f"linux-source-{series}"], place, lambda done, total: None)
        except LabError:
            if series == choice[-1]:
                raise
        else:
            return package
    raise LabError("no series was named")


def main() -> int:
    """Status 1 where something is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trees", nargs="*", type=Path, metavar="TREE")
    parser.add_argument("--fetch", action="store_true", help="Debian's sources, some 6 GB unpacked, removed afterwards")
    parser.add_argument("--confirm", metavar="TARGET", default="", help="run the test of sev.c there: vm:6.1")
    parser.add_argument("--dkms", action="store_true", help="Debian's *-dkms packages, some 340 MB")
    options = parser.parse_args()
    if options.dkms:
        if not options.trees or options.fetch or options.confirm:
            parser.error("--dkms takes a folder for the packages, and parts of their names")
        print(*modules(options.trees[0], [str(part) for part in options.trees[1:]]), sep="\n")
        return 0
    if bool(options.trees) == options.fetch:
        parser.error("name trees, or --fetch")
    print("| release | GUP: counted / found | above it: counted / found | flags known | findings | CPU |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        trees = fetch(Path(folder)) if options.fetch else options.trees
        wrong = [words for tree in trees for words in check(tree, options.confirm)]
    print(*wrong, sep="\n", file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
