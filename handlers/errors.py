"""The one error that a caller can mend."""


class BadRequest(ValueError):  # noqa: N818 - the name of the HTTP status it becomes
    """A request that cannot be answered as it is: becomes a 400 that names the field at fault and says why."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(why)
        self.field = field
        self.why = why
