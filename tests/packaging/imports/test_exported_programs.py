"""Programs of torch.export: their outputs are those of torch, in batches of any size, threads and copies."""

import copy
import hashlib
import threading

import pytest
import torch
from torch import nn

from handlers.codecs.image import ImageCodec
from marina.packaging.imports import program
from models.parts import aten_operators
from tests.support.exported_files import exported

CODEC = ImageCodec(size=16, channels=3, mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))
IMAGES = torch.zeros(2, 3, 16, 16)


class Net(nn.Module):
    """A network with much of what a graph can hold: writes in place, several outputs, lists, sizes, types, constants,
    shared weights, a buffer that is a view, and weights in channels_last.
    """

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(3, 8, 3, bias=False).to(memory_format=torch.channels_last)
        self.norm, self.drop = nn.BatchNorm2d(8), nn.Dropout(0.5)
        self.first = nn.Linear(8, 8)
        self.second = nn.Linear(8, 8)
        self.second.weight = self.first.weight
        self.fc = nn.Linear(8, 5)
        self.register_buffer("shift", torch.arange(16.0).reshape(2, 8).t(), persistent=False)

    def forward(self, x):
        x = self.norm(self.stem(x.sub_(0.5))).relu_()
        left, right = x.chunk(2, dim=1)
        x = torch.cat([right, left], dim=1).masked_fill(x > 9, float("inf")).clamp(max=3.0)
        x = nn.functional.interpolate(x, scale_factor=0.5, mode="bilinear", antialias=True)
        x = x.flatten(2).transpose(1, 2)
        x = nn.functional.scaled_dot_product_attention(x, x, x)
        x = x.reshape(x.shape[0] * x.shape[1], -1)
        x = self.second(self.first(x.to(torch.float64).float())) + self.shift[:, 1] + torch.tensor([1.0])
        x = x.reshape(-1, 7 * 7, 8).topk(3, dim=1)[0].mean(dim=1)
        return {"logits": self.fc(self.drop(x)), "features": [x, None]}


def fit(file):
    return program.fit(program.read(file), CODEC, None, "labels.txt")


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> bytes:
    return exported(tmp_path_factory.mktemp("original") / "net.pt2", Net().eval(), IMAGES).read_bytes()


@pytest.fixture
def file(tmp_path, original):
    path = tmp_path / "net.pt2"
    path.write_bytes(original)
    return path


def test_outputs_are_those_of_torch(file):
    fitted, own = fit(file), torch.export.load(file).module()
    assert (fitted.head, "batch" in fitted.arguments) == ("torch.export, output 0 of 3", False)
    for size in (1, 2, 5):
        images = torch.randn(size, 3, 16, 16)
        assert torch.allclose(fitted.network(images), own(images.clone())["logits"], atol=1e-6)


def test_batches_of_a_fixed_size_are_filled(tmp_path):
    fitted = fit(exported(tmp_path / "net.pt2", Net().eval(), IMAGES, dynamic=False))
    assert fitted.head == "torch.export, output 0 of 3, batches of 2"
    for size in (1, 3):
        images = torch.randn(size, 3, 16, 16)
        assert torch.allclose(fitted.network(images), Net().eval()(images.clone())["logits"], atol=1e-5)


def test_allowed_operators_are_those_of_the_dispatcher():
    names = {each.removeprefix("aten::").partition(".")[0] for each in torch._C._dispatch_get_all_op_names()}
    assert not aten_operators.ALLOWED - names - {"zero"}  # which is zero_ alone
    assert not any(aten_operators.is_allowed(name) for name in names if "file" in name or "sparse" in name)
    assert sum(map(aten_operators.is_allowed, names)) < 600 < len(names)


def test_a_program_is_opened_when_it_runs_and_serves_threads_and_copies(file):
    network = fit(file).network
    assert network._run is None  # a worker opens it after the fork
    batches = [torch.randn(2, 3, 16, 16) for _ in range(4)]
    expected = [network(batch) for batch in batches]
    found = {}
    served = copy.deepcopy(network)
    threads = [
        threading.Thread(target=lambda n=n: found.update({n: [served(batches[n]) for _ in range(5)]})) for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(each, expected[n]) for n, answers in found.items() for each in answers)
    assert len(found) == 4


def test_the_images_of_a_caller_stay(file):
    images = torch.ones(1, 3, 16, 16)
    fit(file).network.outputs(images)
    assert torch.equal(images, torch.ones(1, 3, 16, 16))


def test_the_origin_is_the_file_and_what_is_not_run_stays_behind(file):
    read = program.read(file)
    assert read.checkpoint.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert b"stack_trace" not in read.content
    assert b"PK" not in read.content[:2]
