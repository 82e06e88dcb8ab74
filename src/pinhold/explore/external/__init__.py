"""A search whose truth lies in files: breadth first, a level being two maps of tasks that know nothing of each other.

`expand` makes the successors of a piece of a level; `merge` takes those that belong to one owner, drops what has been
seen, and keeps the rest.  Each reads files, and writes files whole.  So a search is as large as a disk, and as fast as
whoever takes on its tasks: threads, or an engine's workers on several machines (cluster/).
"""
