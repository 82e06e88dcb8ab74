"""Probes of the rules of KSM."""

from __future__ import annotations

from typing import Any

from play import Play, Row
from rule_probes.registry import probe


@probe({"no": True, "yes": False})
def ksm_protects_exclusive(chosen: Row) -> Any:
    """A page that a read brought back from swap is pinned for reading: does KSM merge it with an equal one?"""
    text = (
        "map P x anon pages 2\nwrite P x 0x11\nswapout P x[0]\nread P x[0]\npin P x[0] as p longterm\n"
        "ksm P x[0] with P x[1]\n"
    )
    played = Play(chosen, text)
    return played.frame() == played.frame(page=1)


@probe({"write": ("anon", True), "unshare": ("anon", False)})
def break_ksm(chosen: Row) -> Any:
    """Whether a page is writable once KSM has taken back its merge."""
    text = "map P x anon pages 2\nwrite P x 0x11\nksm P x[0] with P x[1]\nmadvise P x unmergeable\n"
    played = Play(chosen, text)
    return played.view().kind, played.writable()


@probe({"found": True, "passed_over": False})
def ksm_protnone(chosen: Row) -> Any:
    """Two pages that are alike and inaccessible: are they merged?"""
    text = "map P x anon pages 2\nwrite P x 0x11\nmprotect P x none\nksm P x[0] with P x[1]\n"
    played = Play(chosen, text)
    return played.frame() == played.frame(page=1)


@probe({"kept": [False, False, True], "forgotten": [False, True, False]})
def ksm_checksum(chosen: Row) -> Any:
    """Which of three pages keeps its frame when the last two, which were merged before, are alike and are written to
    with what they had: the second that ksmd knows when it comes by."""
    text = "map P x anon pages 3\nwrite P x[1:] 0x11\nksm P x with P x\nwrite P x 0x11\nksm P x with P x\n"
    played = Play(chosen, text, stop=4)
    before = [played.frame(page=page) for page in range(3)]
    played.play()
    return [played.frame(page=page) == before[page] for page in range(3)]


@probe({"first": True, "after_checksum": False})
def ksm_search(chosen: Row) -> Any:
    """A page that has changed is like a KSM page that a pipe keeps, and that its mergeable addresses, behind it, do not
    map any more: does it become one with it?"""
    text = "map P x anon pages 3\nwrite P x[1:] 0x11\nksm P x with P x\nvmsplice P x[1] as p\n"
    played = Play(chosen, f"{text}write P x[1:] 0x22\nwrite P x[0] 0x11\nksm P x with P x\n", stop=3)
    kept = played.frame(page=1)
    played.play()
    return played.frame() == kept
