"""Requests that every handler of texts refuses."""

from tests.worker import JSON, Ask

# name: (request, the field that the 400 names)
BAD = {
    "1 MB": (Ask({"body": {"text": "好" * 350_000}}, JSON), "text"),
    "empty": (Ask({"body": {"text": ""}}, JSON), "text"),
    "empty body": (Ask({"body": b""}), "text"),
    "no body": (Ask({}), "text"),
    "spaces": (Ask({"body": {"text": " \n\t　"}}, JSON), "text"),
    "invalid UTF-8": (Ask({"body": b"\xff\xfe\x00abc"}), "text"),
    "wrong JSON": (Ask({"body": b'{"text": "x'}, JSON), "body"),
    "unlabelled wrong JSON": (Ask({"body": b'{"text": "x'}), "body"),
    "a list": (Ask({"body": ["好"]}, JSON), "text"),
    "null": (Ask({"body": {"text": None}}, JSON), "text"),
    "other member": (Ask({"body": {"txt": "好"}}, JSON), "text"),
}
