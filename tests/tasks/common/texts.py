"""Invalid requests that every handler of texts rejects."""

from tests.support.worker import JSON, SampleRequest

# name: (request, the field that the 400 names)
BAD = {
    "1 MB": (SampleRequest({"body": {"text": "好" * 350_000}}, JSON), "text"),
    "empty": (SampleRequest({"body": {"text": ""}}, JSON), "text"),
    "empty body": (SampleRequest({"body": b""}), "text"),
    "no body": (SampleRequest({}), "text"),
    "spaces": (SampleRequest({"body": {"text": " \n\t　"}}, JSON), "text"),
    "invalid UTF-8": (SampleRequest({"body": b"\xff\xfe\x00abc"}), "text"),
    "wrong JSON": (SampleRequest({"body": b'{"text": "x'}, JSON), "body"),
    "unlabelled wrong JSON": (SampleRequest({"body": b'{"text": "x'}), "body"),
    "a list": (SampleRequest({"body": ["好"]}, JSON), "text"),
    "null": (SampleRequest({"body": {"text": None}}, JSON), "text"),
    "other member": (SampleRequest({"body": {"txt": "好"}}, JSON), "text"),
}
