"""`pinhold audit` reads trees that others wrote: within bounds, following no link, running nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from audited import write
from pinhold.audit import files
from pinhold.audit.api import API, STEMS
from pinhold.audit.files import NotReadable, find, release_of

CALL = "int f(struct page **p) { return pin_user_pages_fast(0, 1, FOLL_WRITE, p); }\n"


def test_only_files_that_name_a_function_are_kept(tmp_path: Path) -> None:
    """Others are looked at."""
    other = "int g(void) { return no_pin_user_pages(); }\n"
    tree = find([str(write(tmp_path, {"a.c": CALL, "b.c": other, "sub/c.h": CALL, "notes.txt": CALL}))])
    assert (set(tree.sources), tree.seen, tree.left_out) == ({"a.c", "sub/c.h"}, 3, [])


def test_links_are_not_followed(tmp_path: Path) -> None:
    """Neither of files nor of folders, out of the tree or inside: it is said."""
    outside = write(tmp_path / "other", {"secret.c": CALL})
    root = write(tmp_path, {"a.c": CALL})
    (root / "link.c").symlink_to(outside / "secret.c")
    (root / "folder").symlink_to(outside)
    (root / "round").symlink_to(root)
    tree = find([str(root)])
    assert set(tree.sources) == {"a.c"}
    assert tree.left_out == ["3 symbolic links to sources or folders were not followed"]


def test_a_link_that_is_named_is_what_it_points_to(tmp_path: Path) -> None:
    """A file by a link, and a folder of a kernel by one: its paths and its release are the kernel's."""
    root = write(tmp_path, {"Makefile": "VERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 9\n", "Kconfig": "", "mm/x.c": ""})
    write(tmp_path, {"drivers/misc/a.c": CALL})
    (tmp_path / "misc").symlink_to(root / "drivers" / "misc")
    (tmp_path / "link.c").symlink_to(root / "drivers" / "misc" / "a.c")
    for name in ("misc", "link.c"):
        tree = find([str(tmp_path / name)])
        assert (tree.kernel, set(tree.sources)) == (True, {"drivers/misc/a.c"})


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    """A FIFO named like a source."""
    root = write(tmp_path, {"a.c": CALL})
    os.mkfifo(root / "b.c")
    tree = find([str(root)])
    assert set(tree.sources) == {"a.c"}
    assert tree.left_out == ["not read: b.c: it is no ordinary file"]
    with pytest.raises(NotReadable, match=r"^not read: b.c: it is no ordinary file$"):
        find([str(root / "b.c")])


def test_large_files_are_left_out_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file beyond the bound is not parsed."""
    monkeypatch.setattr(files, "LARGEST", 1000)
    tree = find([str(write(tmp_path, {"a.c": CALL, "b.c": CALL + "/*" + "x" * 1000 + "*/"}))])
    assert set(tree.sources) == {"a.c"}
    assert "not read: b.c: larger than" in tree.left_out[0]


def test_folders_without_end_come_to_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So deep and no deeper; so many files and no more."""
    monkeypatch.setattr(files, "DEEPEST", 3)
    tree = find([str(write(tmp_path, {"a/b/c/d/e.c": CALL, "a/x.c": CALL}))])
    assert (set(tree.sources), tree.left_out) == ({"a/x.c"}, ["not read: a/b/c/d: 3 folders deep"])
    monkeypatch.setattr(files, "MOST_FILES", 2)
    tree = find([str(write(tmp_path / "many", {f"{n}.c": CALL for n in range(5)}))])
    assert len(tree.sources) == 2
    assert "larger than what is read" in tree.left_out[0]


def test_files_by_name(tmp_path: Path) -> None:
    """They are read whatever they name, and a name that is not there is an error."""
    root = write(tmp_path, {"a.c": CALL, "b.c": "int g;\n"})
    assert set(find([str(root / "a.c"), str(root / "b.c")]).sources) == {"a.c", "b.c"}
    with pytest.raises(NotReadable, match="no file or folder"):
        find([str(root / "none.c")])


def kernel(folder: Path) -> Path:
    """A tree that looks like a kernel's."""
    makefile = "# SPDX\nVERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 192\nEXTRAVERSION =\n"
    named = {"Makefile": makefile, "Kconfig": "", "mm/gup.c": CALL, "drivers/x/y.c": CALL, "tools/t.c": CALL}
    return write(folder, {**named, "Documentation/d.c": CALL})


def test_a_kernels_tree_says_its_release(tmp_path: Path) -> None:
    """By its Makefile; its documents and tools are no part of the kernel."""
    tree = find([str(kernel(tmp_path))])
    assert (release_of(tree.root), tree.kernel, set(tree.sources)) == ("6.1.192", True, {"mm/gup.c", "drivers/x/y.c"})


def test_a_part_of_a_kernels_tree_belongs_to_it(tmp_path: Path) -> None:
    """Paths begin at the kernel's root, by folder and by file, and the release is its."""
    root = kernel(tmp_path)
    for named in (root / "drivers", root / "drivers" / "x" / "y.c"):
        tree = find([str(named)])
        assert (tree.root, set(tree.sources), tree.kernel) == (root, {"drivers/x/y.c"}, True)


def test_parts_of_one_tree_are_read_together(tmp_path: Path) -> None:
    """Folders and files, each source once however often it is named; of two kernels nothing is."""
    root = kernel(tmp_path / "one")
    x = root / "drivers" / "x"
    tree = find([str(x / "y.c"), str(root / "mm"), str(x), str(root / "drivers"), str(x)])
    assert (tree.root, set(tree.sources), tree.seen) == (root, {"mm/gup.c", "drivers/x/y.c"}, 2)
    own = write(tmp_path / "own", {"a/a.c": CALL, "b/b.c": CALL, "c.c": CALL})
    tree = find([str(own / "a"), str(own / "b"), str(own / "c.c")])
    assert (tree.root, set(tree.sources), tree.kernel) == (own, {"a/a.c", "b/b.c", "c.c"}, False)
    with pytest.raises(NotReadable, match="not of one tree"):
        find([str(root / "mm"), str(kernel(tmp_path / "other") / "mm" / "gup.c")])


def test_other_makefiles_say_nothing(tmp_path: Path) -> None:
    """A tree of its own has no release."""
    assert release_of(write(tmp_path, {"Makefile": "VERSION = 3\nall:\n"})) == ""


def test_each_name_has_a_stem() -> None:
    """What is looked for first finds every function of the API."""
    assert [name for name in API if not any(stem in name.encode() for stem in STEMS)] == []


@pytest.mark.parametrize("name", API)
def test_each_name_is_found_in_a_file(name: str) -> None:
    """Wherever it stands, as a whole word alone, and within the length that counts."""
    text = f"gv_user v_pag {name}(".encode()
    assert files._named(text, len(text))
    assert not files._named(text, len("gv_user v_pag "))
    assert not files._named(f"x{name}".encode(), len(name) + 1)


def test_a_large_header_of_numbers_is_not_searched(tmp_path: Path) -> None:
    """It has no statement; one that has, a small one, and what is no header are looked through."""
    numbers = "#define REG 0x1\n" * 5000
    named = "#define TAKE pin_user_pages\n"
    root = write(tmp_path, {"a.h": numbers + named, "b.h": numbers + named + "extern int x;\n", "c.h": named,
                            "d.c": numbers + named})  # fmt: skip
    assert set(find([str(root)]).sources) == {"b.h", "c.h", "d.c"}
    assert set(find([str(root / "a.h")]).sources) == {"a.h"}
