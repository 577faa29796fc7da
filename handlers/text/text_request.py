"""The text of a request, and the tokens of it that a network gets."""

from dataclasses import dataclass
from typing import Any

from handlers.errors import BadRequest
from handlers.request import Request


def text_content(value: Any, max_characters: int, truncate: bool = False) -> str:
    """Return a text that was sent raw (UTF-8), as a form part or in JSON.

    With `truncate` a text of more than `max_characters` is cut there. Raises BadRequest otherwise, and for anything
    that is not a text or is empty.

    >>> text_content("很好!".encode(), 2, truncate=True)
    '很好'
    """
    if isinstance(value, bytes):
        try:
            value = value.decode("utf-8")
        except UnicodeDecodeError as exc:
            raise BadRequest("text", f"not valid UTF-8: {exc.reason} at byte {exc.start}") from exc
    if not isinstance(value, str):
        raise BadRequest("text", 'send {"text": "..."}, or the text itself as a UTF-8 body')
    if len(value) > max_characters and not truncate:
        raise BadRequest("text", f"{len(value)} characters are over the limit of {max_characters}; truncate=true cuts")
    value = value[:max_characters]
    if not value.strip():
        raise BadRequest("text", "the text is empty")
    return value


@dataclass(frozen=True)
class TextInput:
    """The `tokens` that the network gets, and whether the text was `truncated` to them."""

    tokens: list[str]
    truncated: bool

    @classmethod
    def from_request(cls, request: Request, codec: Any) -> "TextInput":
        """Split the field `text` of a request with a TextCodec or a WordPieceCodec.

        Raises BadRequest for a text over the codec's limits of characters and words, unless the option `truncate` is
        true.
        """
        truncate = request.flag("truncate")
        text = text_content(request.field("text"), codec.max_characters, truncate)
        words = codec.split(text)
        if len(words) > codec.max_words and not truncate:
            raise BadRequest("text", f"{len(words)} words are over the limit of {codec.max_words}; truncate=true cuts")
        return cls(codec.prepare_tokens(words), len(words) > codec.max_words)
