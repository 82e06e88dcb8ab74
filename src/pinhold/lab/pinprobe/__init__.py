"""The optional kernel module: what it is (pinprobe.c, GPL-2.0) and how it is built."""
