"""mm/ as machine code: its subset of Python checked, specialised, lowered to addresses, and kept.  Needs numba."""
