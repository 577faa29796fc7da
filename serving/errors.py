"""What goes wrong in a way that the user can mend."""


class MarinaError(Exception):
    """The message says what is wrong and what to do; the command line prints it without a traceback."""
