"""Readers of public on-disk formats. Each module has FORMATS, a tuple of `dataset.Format`."""
