"""README.md, as a newcomer types it: every command in order, from the first to the last."""

import json

import pytest

from tests.serve.support.guide import Reader, commands

pytestmark = pytest.mark.serve


def test_every_command_of_the_readme_works(tmp_path_factory):
    reader = Reader(tmp_path_factory.mktemp("r"))
    typed = commands("README.md")
    assert typed[0] == "make archive && make serve"
    assert typed[-1] == "make stop"
    outputs: dict[str, str] = {}
    try:
        for command in typed:
            outputs[command] = reader.run(command)
    finally:
        reader.stop()
    assert "ready" in outputs[typed[0]]
    for command, output in outputs.items():
        if command.startswith("curl") and "-o " not in command:
            response = json.loads(output)
            assert ("status" if "/feedback" in command else "model") in response, f"{command}: {response}"
    assert (reader.checkout / "var" / "why.png").read_bytes().startswith(b"\x89PNG")
    assert (reader.checkout / "var" / "reports" / "load-test.html").is_file()
    assert (reader.checkout / "artifacts" / "lenet" / "1.0" / "exports" / "lenet.onnx").is_file()
    assert "Authorization: Bearer " in outputs["make token"]
    assert "lenet@1.0" in outputs["make ab"]
    assert "is the smaller network as good?" in (reader.checkout / "var" / "reports" / "digits.html").read_text()
