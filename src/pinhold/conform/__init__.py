"""Conformance: random scenarios on the model and on real kernels, compared after every step."""
