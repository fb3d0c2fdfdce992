"""Benchmarks: each figure beside its raw floor in the same run, as a ratio. Machines are noisy, ratios less so."""
