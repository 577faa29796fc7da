"""Scaffolds of `marina new`: working files of a model or a task, to be filled in."""
