"""`marina import` of programs without a network: their archives respond and explain; an export is refused."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from tests.packaging.imports.test_programs import Net, written
from tests.support.checkout import copied, python

FLAGS = ["--size", "16", "--mean", "0.5,0.5,0.5", "--std", "0.2,0.2,0.2", "--labels", "labels.txt"]
PROGRAMS = {"scripted": "net.pt", "graph": "one.onnx", "exported": "net.pt2"}
# All in one process: an import of torch takes seconds.
RUN = """
import json, sys
from pathlib import Path
from marina.cli.main import app
from marina.errors import MarinaError
from marina.hosting.host import Host, HostedRequest
found = {}
for name, commands in json.loads(sys.argv[1]).items():
    for command in commands:
        try:
            app(command, standalone_mode=False)
        except MarinaError as exc:
            print("refused:", exc)
body = Path("image.png").read_bytes()
for name in json.loads(sys.argv[1]):
    with Host.of_archive(Path(f"archive/store/{name}-1.0.mar"), Path("var/keys/signing.pub")) as host:
        requests = [HostedRequest.of_body(body, "image/png", {}, explain) for explain in (False, False, True)]
        answers = [host.batch(requests[:2])[1], host.batch(requests[2:])[0]]
        found[name] = [answer.json for answer in answers]
print(json.dumps(found))
"""


def test_archives_of_programs_respond_as_their_network(tmp_path):
    checkout = copied(tmp_path)
    written(checkout / "net.pt", Net())
    written(checkout / "net.pt2", Net())
    written(checkout / "one.onnx", Net(), batch=1, dynamic=False)
    (checkout / "labels.txt").write_text("a\nb\nc\nd\ne\n")
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(checkout / "image.png")
    commands = {
        name: [["import", name, "--weights", file, *FLAGS], ["archive", name], ["export", name, "--format", "onnx"]]
        for name, file in PROGRAMS.items()
    }
    done = python(checkout, "-c", RUN, json.dumps(commands))
    assert done.returncode == 0, done.stderr
    assert "ONNX, images one by one" in done.stdout
    assert done.stdout.count("is not exported: it is a program already") == 3
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    transform = v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Normalize((0.5,) * 3, (0.2,) * 3)])
    with torch.inference_mode():
        expected = Net().eval()(transform(image))[0].softmax(dim=0).tolist()
    for prediction, explanation in json.loads(done.stdout.splitlines()[-1]).values():
        answer = {each["label"]: each["probability"] for each in prediction["predictions"]}
        assert [answer[label] for label in "abcde"] == pytest.approx(expected, abs=1e-5)
        assert explanation["method"] == "feature_ablation"
        assert explanation["heatmap"]
        assert explanation["target"] == prediction["predictions"][0]
