"""The explorer's room: the specification compiled.  The only room that needs numba and numpy."""
