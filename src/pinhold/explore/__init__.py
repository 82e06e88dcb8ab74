"""The explorer: every interleaving of a bounded scope.  With the compiler the only room that needs numba and numpy."""
