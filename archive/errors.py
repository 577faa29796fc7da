"""Why an archive can't be built."""


class RefusedError(Exception):
    """The model must not be packed; the message says why and what to do."""
