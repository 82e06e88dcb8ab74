"""What is pinned in a kernel that runs, has crashed, or is a guest: by whom, and whether it is still their memory."""

KINDS = ("live", "vmcore:FILE", "qmp:SOCKET")
"""What names a kernel that is looked into."""
