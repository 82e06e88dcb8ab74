"""The specification as a target: `model:REL`."""
