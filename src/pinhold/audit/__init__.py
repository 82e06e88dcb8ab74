"""Sources of drivers, read: who pins user pages, with which FOLL_* flags, and what `ask` says of them on a release.

Nothing of a tree that is read is run or included.  tree-sitter parses (extra `audit`); the flags are evaluated here.
"""
