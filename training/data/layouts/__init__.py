"""One reader for each public layout: DESCRIPTION, matches(path) and read(path)."""
