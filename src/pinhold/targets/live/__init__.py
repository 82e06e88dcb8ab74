"""The running kernel as a target: `live`.  Standard library only: it travels into guests."""
