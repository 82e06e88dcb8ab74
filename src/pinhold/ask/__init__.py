"""Answers for the author of a driver: what a pin taken with some FOLL_* flags promises, per kind of memory and release.

Nothing here knows an answer: every one is computed from the specification when it is asked for.
"""
