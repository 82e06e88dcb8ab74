"""One module a command, imported by the command line when that command runs."""
