"""Benchmarks: ratios between stacks, measured in the same run."""
