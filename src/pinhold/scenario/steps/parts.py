"""The parts of a line that several steps have."""

from __future__ import annotations

from pinhold.scenario.bounds import MAX_PAGES
from pinhold.scenario.forms import Byte, Named, Number, Pages, Role, Thing, words

PROTS = ("none", "read", "rw")

PROC = Named("proc", "PROC", Thing.PROCESS)
RANGE = Pages("range", "RANGE")
OTHER_PROC = Named("other_proc", "PROC", Thing.PROCESS)
OTHER_RANGE = Pages("other_range", "RANGE", "other_proc")
PIN = Named("pin", "PIN", Thing.PIN)
NEW_PIN = Named("pin", "PIN", Thing.PIN, Role.MAKES)
BYTE = Byte("byte", "BYTE")
PAGES = Number("pages", "N", "a number of pages", 1, MAX_PAGES)
PROT = words("prot", "|".join(PROTS), PROTS)
