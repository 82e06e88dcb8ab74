"""Work on several processes or machines, by Dask's distributed.

The engine does tasks and moves small results; what is true lies in files (explore/external/).  dask.py is all that
knows it: another engine would be another such file.
"""


class NoCluster(Exception):
    """There is none, or none that may be used; the message says why and what to do."""
