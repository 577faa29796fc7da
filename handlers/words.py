"""The words of a request."""

from dataclasses import dataclass
from typing import Any

from handlers.codecs.text import text_of
from handlers.errors import BadRequest
from handlers.row import Row


@dataclass(frozen=True)
class Words:
    """Those that are `read`, and whether some at the end are not."""

    read: list[str]
    truncated: bool

    @classmethod
    def of(cls, row: Row, codec: Any) -> "Words":
        """The part or member `text`; raises BadRequest for one that is too long, unless it is to be cut."""
        truncate = row.flag("truncate")
        text = text_of(row.field("text"), codec.max_characters, truncate)
        words = codec.split(text)
        if len(words) > codec.max_words and not truncate:
            raise BadRequest("text", f"{len(words)} words are over the limit of {codec.max_words}; truncate=true cuts")
        return cls(codec.framed(words), len(words) > codec.max_words)
