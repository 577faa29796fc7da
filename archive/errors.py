"""Why an archive or an export can't be made."""


class RefusedError(Exception):
    """The model must not be packed or exported; the message says why and what to do."""
