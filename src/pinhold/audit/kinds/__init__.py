"""Kinds of findings, each a function from a call to what is found there."""
