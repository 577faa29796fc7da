"""What no task takes for an image."""

from tests.samples import BASE64, bomb, picture
from tests.worker import JSON, Ask

# name: (request, the field that the 400 names)
BAD = {
    "truncated JPEG": (Ask({"body": picture(kind="JPEG")[:400]}), "image"),
    "truncated PNG": (Ask({"body": picture()[:400]}), "image"),
    "empty body": (Ask({"body": b""}), "image"),
    "no body": (Ask({}), "image"),
    "not an image": (Ask({"body": b"hello"}), "image"),
    "bomb": (Ask({"body": bomb()}), "image"),
    "wrong JSON": (Ask({"body": b'{"image": '}, JSON), "body"),
    "wrong member": (Ask({"body": {"picture": BASE64}}, JSON), "image"),
    "not base64": (Ask({"body": {"image": "%%%"}}, JSON), "image"),
    "a number": (Ask({"body": {"image": 7}}, JSON), "image"),
}
