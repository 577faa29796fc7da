"""Style optimization with a network of one linear layer."""

import pytest
import torch
from torch import nn

from handlers.codecs.style import StyleCodec
from handlers.vision.style_optimization import StyleOptimization, StylizationInput, gram_matrix, relative_error


class Plain(nn.Module):
    """Network whose features are the pixels, and twice the pixels."""

    CONTENT, STYLE = ("a",), ("a", "b")

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return x.flatten(2) * self.one

    def split(self, features, height, width):
        assert features.shape[2] == height * width
        return {"a": features, "b": 2 * features}


CODEC = StyleCodec(64, 3, (0.5, 0.25, 0.75), (0.2, 0.3, 0.4))


def optimization(steps=3) -> StyleOptimization:
    generator = torch.Generator().manual_seed(0)
    content, style = (torch.randint(0, 256, (3, 8, side), generator=generator, dtype=torch.uint8) for side in (6, 10))
    network = Plain()
    return StyleOptimization(network, network, CODEC, StylizationInput(content, style, (6, 8), steps, False))


def test_gram_matrix_and_relative_error_by_hand():
    maps = torch.tensor([[[1.0, 2, 3], [0, 1, -1]]])
    assert gram_matrix(maps).flatten().tolist() == pytest.approx([14 / 3, -1 / 3, -1 / 3, 2 / 3])
    assert float(relative_error(torch.tensor([1.0, 2]), torch.tensor([1.0, 4]))) == pytest.approx(4 / 17)
    assert float(relative_error(torch.tensor([1e-6]), torch.zeros(1))) == pytest.approx(1)


def test_losses_before_are_those_of_the_content():
    job = optimization()
    content, style = (CODEC.normalize(one).unsqueeze(0) for one in (job_content(), job_style()))
    found = job.losses()
    assert found.keys() == {"before", "after"}
    assert found["before"]["content"] == 0
    expected = relative_error(
        gram_matrix(content.flatten(2)), gram_matrix(style.flatten(2))
    )  # the same for both layers
    assert found["before"]["style"] == pytest.approx(float(expected), abs=1e-5)
    across, down = content.diff(dim=3).square().mean(), content.diff(dim=2).square().mean()
    assert found["before"]["variation"] == pytest.approx(float(across + down), rel=1e-5)
    assert found["after"] == pytest.approx(found["before"], abs=1e-4)
    assert all(loss == round(loss, 6) for losses in found.values() for loss in losses.values())
    assert torch.equal(job.pixels(), job_content())


def job_content():
    return torch.randint(0, 256, (3, 8, 6), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def job_style():
    generator = torch.Generator().manual_seed(0)
    torch.randint(0, 256, (3, 8, 6), generator=generator, dtype=torch.uint8)
    return torch.randint(0, 256, (3, 8, 10), generator=generator, dtype=torch.uint8)


def test_each_step_returns_its_number_and_the_loss_falls():
    job = optimization()
    before = job.losses()["before"]
    lines = []
    while not job.done:
        lines.append(job.step())
    assert [(line["step"], line["of"]) for line in lines] == [(1, 3), (2, 3), (3, 3)]
    total = before["content"] + before["style"] + 0.1 * before["variation"]
    assert lines[0]["loss"] == pytest.approx(total, rel=1e-4)
    assert lines[2]["loss"] < lines[0]["loss"]
    assert job.output is job
    job.picture.data[:] = float("nan")
    assert job.step()["loss"] is None
