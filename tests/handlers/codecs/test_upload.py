"""Files sent in each of the three ways, and the 400 for anything that is not a file."""

import pytest

from handlers.codecs.image import image_bytes
from handlers.codecs.upload import file_bytes
from handlers.codecs.video import video_bytes
from handlers.errors import BadRequest

HOW = 'send the film as the body, as a form part "film", or as {"film": "<base64>"}'


@pytest.mark.parametrize(
    "value",
    [
        b"hello",
        "aGVsbG8=",
        "aGVs\n bG8=\n",  # as mail programs and `base64` of a shell break lines
        "data:image/png;base64,aGVsbG8=",
        "data:image/png;base64, aGVs\tbG8=",
    ],
)
def test_a_file_comes_raw_as_base64_or_as_a_data_url(value):
    assert file_bytes(value, "film") == b"hello"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("aGVsbG8", "not valid base64: Incorrect padding"),
        ("aGV%sbG8=", "not valid base64: Only base64 data is allowed"),
        ("data:image/png;base64,aGVsbG8=,", "not valid base64: "),  # one comma ends the head of the URL
        ("xdata:,aGVsbG8=", "not valid base64: "),
        ("", "the film is empty"),
        ("data:image/png;base64,", "the film is empty"),
        ("data:image/png", "the film is empty"),
        (b"", "the film is empty"),
        (None, HOW),
        (7, HOW),
        ({"film": "aGVsbG8="}, HOW),
        (["aGVsbG8="], HOW),
    ],
)
def test_what_is_no_file_is_refused_with_the_field_and_the_reason(value, reason):
    with pytest.raises(BadRequest) as caught:
        file_bytes(value, "film")
    assert caught.value.field == "film"
    assert caught.value.reason.startswith(reason)


@pytest.mark.parametrize(("of", "field"), [(image_bytes, "image"), (video_bytes, "video")])
def test_images_and_videos_are_fields_of_their_own(of, field):
    assert of("aGVsbG8=") == b"hello"
    with pytest.raises(BadRequest, match=f"the {field} is empty") as caught:
        of(b"")
    assert caught.value.field == field
