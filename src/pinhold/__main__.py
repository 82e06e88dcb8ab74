"""`python -m pinhold` is the command `pinhold`."""

from pinhold.cli import entry

entry()
