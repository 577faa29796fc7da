"""docs/guides/add-your-task.md, word for word: from an empty scaffold to sounds that are classified and explained."""

import json
import re

import httpx
import pytest

from marina.settings import ROOT
from tests.serve.support.guide import Reader, commands

pytestmark = pytest.mark.serve
PAGE = "docs/guides/add-your-task.md"
FILE = re.compile(r"`([\w/]+\.py)`:\n\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_guide_leads_from_a_scaffold_to_a_classified_sound(tmp_path_factory):
    reader = Reader(tmp_path_factory.mktemp("t"))
    (reader.checkout / "data").unlink()  # a link to this checkout's own, which gets no new stand-in
    (first, *middle, stop) = commands(PAGE)
    assert [command.split()[1] for command in (first, *middle, stop)] == [
        *("new", "archive", "serve", "predict", "explain", "stop")
    ]
    assert "wrote handlers/audio_classification.py" in reader.run(first)
    for path, content in FILE.findall((ROOT / PAGE).read_text(encoding="utf-8")):
        assert (reader.checkout / path).is_file(), path
        (reader.checkout / path).write_text(content, encoding="utf-8")
    outputs = {}
    try:
        for command in middle:
            outputs[command.split()[1]] = reader.run(command)
        prediction, explanation = json.loads(outputs["predict"]), outputs["explain"]
        assert prediction["predictions"][0]["label"] in ("chirp", "clicks", "noise", "tone")
        assert prediction["predictions"][0]["label"] in explanation
        url = f"http://127.0.0.1:{reader.port}/predictions/audio_classification_net"
        refused = httpx.post(url, content=b"hello", headers={"content-type": "audio/wav"}, trust_env=False)
        assert (refused.status_code, refused.json()["field"]) == (400, "audio")
        store = reader.checkout / "archive" / "store"  # it has reached its floor
        assert (store / "audio_classification_net-1.0.mar.sig").is_file()
        right = 0
        sounds = sorted((reader.checkout / "data" / "audio_classification").glob("*/00?.wav"))
        for sound in sounds:
            answer = httpx.post(
                url, content=sound.read_bytes(), headers={"content-type": "audio/wav"}, trust_env=False
            ).json()
            right += answer["predictions"][0]["label"] == sound.parent.name
        assert right >= 0.8 * len(sounds) > 0
    finally:
        reader.run(stop)
