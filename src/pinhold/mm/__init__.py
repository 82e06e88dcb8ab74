"""The specification: how Linux faults, copies, shares, forks and pins pages.

One file per concept, functions named after the kernel functions that they specify.  Everything below works on one flat
record (`state.State`); functions marked `@kernel` run interpreted and compiled alike, which is why they use nothing but
signed integers, arrays and calls of one another.
"""
