"""docs/guides/add-your-model.md, word for word: one new file becomes a served model, and nothing else is edited."""

import json
import re
import subprocess

import httpx
import pytest

from marina.settings import ROOT
from tests.serve.support.guide import Reader, blocks, commands

pytestmark = pytest.mark.serve
PAGE = "docs/guides/add-your-model.md"


def test_the_guide_leads_from_a_file_to_a_prediction(tmp_path_factory):
    reader = Reader(tmp_path_factory.mktemp("g"))
    (source,) = blocks(PAGE, "python")
    file = re.search(r"`(models/\w+\.py)`:\n\n```python", (ROOT / PAGE).read_text(encoding="utf-8"))[1]
    new, *typed = commands(PAGE)
    assert new.split()[1] == "new"
    assert [command.split()[1] for command in typed] == ["archive", "serve", "predict", "explain", "stop"]
    assert f"wrote {file}" in reader.run(new)
    (reader.checkout / file).write_text(source, encoding="utf-8")
    try:
        for command in typed[:-1]:
            output = reader.run(command)
            if " predict " in command:
                assert json.loads(output)["model"] == "perceptron"
        url = f"http://127.0.0.1:{reader.port}"
        listed = httpx.get(f"{url}/v1/models", trust_env=False).json()
        assert [entry["name"] for entry in listed] == ["perceptron"]
        assert "/predictions/perceptron" in httpx.get(f"{url}/openapi.json", trust_env=False).json()["paths"]
    finally:
        reader.run(typed[-1])
    assert "Nothing to be done" in reader.run("make archive MODEL=perceptron")
    kept = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    changed = [name for name in kept if (reader.checkout / name).read_bytes() != (ROOT / name).read_bytes()]
    assert changed == []
