"""pinhold: page pinning and copy-on-write in Linux, made answerable."""

__version__ = "0.2.0"
