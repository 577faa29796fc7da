"""One writer for each embedded stand-in: ORIGIN, LICENCE and write(folder). All are deterministic, byte for byte."""
