"""Changes to the machine that always come back, and what this machine can do."""
