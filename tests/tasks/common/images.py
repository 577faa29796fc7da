"""Invalid requests that every handler of images rejects."""

from tests.support.samples import BASE64, ENCRYPTED_PDF, bomb, picture, small_pdf
from tests.support.worker import JSON, SampleRequest

# name: (request, the field that the 400 names)
BAD = {
    "truncated JPEG": (SampleRequest({"body": picture(kind="JPEG")[:400]}), "image"),
    "truncated PNG": (SampleRequest({"body": picture()[:400]}), "image"),
    "empty body": (SampleRequest({"body": b""}), "image"),
    "no body": (SampleRequest({}), "image"),
    "not an image": (SampleRequest({"body": b"hello"}), "image"),
    "bomb": (SampleRequest({"body": bomb()}), "image"),
    "wrong JSON": (SampleRequest({"body": b'{"image": '}, JSON), "body"),
    "wrong member": (SampleRequest({"body": {"picture": BASE64}}, JSON), "image"),
    "not base64": (SampleRequest({"body": {"image": "%%%"}}, JSON), "image"),
    "a number": (SampleRequest({"body": {"image": 7}}, JSON), "image"),
}

# As well, for handlers that accept PDF.
BAD_PDF = {
    "encrypted PDF": (SampleRequest({"body": ENCRYPTED_PDF}), "image"),
    "truncated PDF": (SampleRequest({"body": small_pdf()[:60]}), "image"),
    "a page that is not there": (SampleRequest({"body": small_pdf(), "pages": b"2"}), "pages"),
    "not a page": (SampleRequest({"body": small_pdf(), "pages": b"first"}), "pages"),
    "pages of an image": (SampleRequest({"body": picture(), "pages": b"1"}), "pages"),
}
