"""Probes of the rules of GUP."""

from __future__ import annotations

from typing import Any

from pinhold.mm import flags as k
from pinhold.mm.gup import (
    GET_USER_PAGES_FAST,
    PIN_USER_PAGES,
    PIN_USER_PAGES_FAST,
    is_valid_gup_args,
)
from pinhold.mm.machine import create
from pinhold.mm.pinning import pin_start
from pinhold.mm.state import TINY
from pinhold.mm.step import step
from pinhold.mm.task import FN_FORK, call
from pinhold.targets.model.target import CONFIG
from play import Play, Row, verdict
from rule_probes.numa import hinted
from rule_probes.registry import probe
from rule_probes.stepped import machine, step_while


@probe(
    {
        "none": ("violated", "violated"),
        "anon": ("violated", "held"),
        "cow_longterm": ("held", "held"),
    }
)
def gup_unshares(chosen: Row) -> Any:
    """A R/O long-term pin of a page-cache page, and of an anonymous page shared with a child: reliable?"""
    pin = "pin P x as p longterm\nwrite P x 0xff\nexpect p sees P x\n"
    cache = verdict(chosen, f"map P x memfd private\nread P x\n{pin}")
    return cache, verdict(chosen, f"map P x anon\nwrite P x 0x11\nfork P C\n{pin}")


@probe(
    {
        "no": ["unshare_not_longterm", "fast_pinned"],
        "yes": ["fast_falls_back", "unshare_not_longterm"],
    }
)
def huge_zero_special(chosen: Row) -> Any:
    """Who pins the huge zero folio for a short time, GUP-fast or the slow path."""
    return Play(chosen, "map P x hugezero\nread P x\npin P x as p fast\n").sites[-1]


@probe({"no": ("pinned", 1, k.DONE), "yes": ("waits", 0, k.DONE)})
def write_protect_seq(chosen: Row) -> Any:
    """GUP-fast has begun when fork() begins: does its pin stand, or does it start anew behind fork()'s lock?"""
    played, m = machine(chosen, "map P x anon\nwrite P x 0x11\n")
    mm, address = played.address()
    pin_start(m, 1, 0, mm, address, address + 1, k.FOLL_PIN | k.FOLL_WRITE | k.WANT_FAST, k.USER_NONE)
    while not m.task_irqs_off[1]:
        step(m, 1)
    call(m, 2, FN_FORK, mm, 0, 0, 0, 1)
    step(m, 2)
    outcome = step_while(m, 1)
    held = m.pin_count[0]
    step_while(m, 2)
    return "pinned" if outcome == k.DONE else "waits", held, step_while(m, 1)


@probe(
    {
        "drops_write": (0, ["foll_write_dropped", "wp_reuse_exclusive"], False),
        "foll_cow": (0, ["foll_force_follows", "wp_reuse_exclusive"], False),
        "exclusive": (0, ["foll_force_follows"], False),
    }
)
def foll_force(chosen: Row) -> Any:
    """Whether a forced write to an untouched read-only mapping needs a second fault, on the first one's page, and what
    it goes by after that."""
    played = Play(chosen, "map P x anon read\npoke P x 0x11\n")
    sites = {"wp_reuse_exclusive", "foll_write_dropped", "foll_force_follows"} & set(played.sites[-1])
    return played.errnos[-1], sorted(sites), played.writable()


@probe(
    {
        "per_entry_point": (-k.EINVAL, -k.EINVAL, -k.EINVAL, 0),
        "per_entry_point_nofault": (-k.EINVAL, -k.EINVAL, 0, 0),
        "is_valid_gup_args": (1, -k.EINVAL, 0, 1),
    }
)
def gup_args(chosen: Row) -> Any:
    """What GUP's entry points return for FOLL_GET in pin_*, for FOLL_NOFAULT in *_fast, and for an internal flag."""
    m = create(TINY, chosen, CONFIG)
    calls = (
        (PIN_USER_PAGES, k.FOLL_GET),
        (GET_USER_PAGES_FAST, k.FOLL_LONGTERM),
        (PIN_USER_PAGES_FAST, k.FOLL_NOFAULT),
        (PIN_USER_PAGES, k.FOLL_TOUCH),
    )
    return tuple(is_valid_gup_args(m, api, flags) for api, flags in calls)


@probe({"allowed": 0, "refused": k.EFAULT})
def longterm_dirty_tracked(chosen: Row) -> Any:
    """The errno of a writable long-term pin of a shared mapping of an ordinary file."""
    return Play(chosen, "map P x file shared\npin P x as p write longterm\n").errnos[-1]


@probe({"any": True, "writes": False})
def touch_pmd(chosen: Row) -> Any:
    """Whether a pin for reading leaves the entry of a huge page that nobody has written dirty."""
    played = Play(chosen, "map P x hugezero\nread P x\nprocess_vm_readv P x as p\n")
    return played.entry() & k.PTE_DIRTY != 0


@probe({"all": (True, True), "not_longterm_fast": (False, False), "fast": (False, True)})
def pin_touches(chosen: Row) -> Any:
    """Whether a pin for writing leaves the clean entry of a huge page dirty: by pin_user_pages(), and by its long-term
    fast form, which comes to the slow path at the page before."""
    text = "map P x thp pages 1024\nwrite P x[512:] 0x11\nmadvise P x[512:] free\n"
    pins = ("pin P x[512:] as p write\n", "pin P x as p write longterm fast\n")
    return tuple(Play(chosen, text + pin).entry(page=512) & k.PTE_DIRTY != 0 for pin in pins)


@probe({"faults": False, "follows": True})
def gup_protnone(chosen: Row) -> Any:
    """Whether the page is inaccessible still after a pin for reading."""
    return hinted(Play(chosen, "map P x anon\nwrite P x 0x11\ndrain\nnuma_hint P x\npin P x as p\n"))
