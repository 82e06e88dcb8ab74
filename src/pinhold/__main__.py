"""`python -m pinhold` is the command `pinhold`."""

import sys

try:
    from pinhold.cli import EXIT_INTERRUPTED, entry
except KeyboardInterrupt:
    sys.exit(130)
try:
    entry()
except KeyboardInterrupt:
    sys.exit(EXIT_INTERRUPTED)
