"""`python -m marina`: the command line, where the `marina` script is not on the PATH."""

from marina.cli.main import main

if __name__ == "__main__":
    main()
