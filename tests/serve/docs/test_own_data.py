"""docs/guides/own-data.md, command by command, on folders of a few images: trained, packed, served."""

import json

import httpx
import pytest
import torch
from safetensors.torch import load_file

from tests.serve.support.guide import Reader, blocks
from tests.support.own_images import image_folders
from tests.support.voc_samples import devkit

pytestmark = pytest.mark.serve
PAGE = "docs/guides/own-data.md"
# They train on the embedded data; tests/training covers what they do.
ELSEWHERE = [
    'make train MODEL=digits_cnn VERSION=1.1 FLAGS="--labels 0.1"',
    'make train MODEL=resnet18 FLAGS="--devices 2"',
]


def block_of(words: str) -> list[str]:
    """Return the commands of the block that contains these words."""
    (block,) = (block for block in blocks(PAGE, "sh") if words in block)
    return [line.partition("  #")[0].strip().replace("path/to/", "./") for line in block.splitlines()]


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    reader = Reader(tmp_path_factory.mktemp("own"))
    for shade, name in enumerate(("folder", "mine", "other")):
        image_folders(reader.checkout / name, shade=shade)
    devkit(reader.checkout)
    yield reader
    reader.stop()


def card(reader: Reader, name: str, version: str) -> dict:
    return json.loads((reader.checkout / "artifacts" / name / version / "card.json").read_text())


def test_all_other_commands_are_run_here():
    run = [
        line for words in ("VOCdevkit", "REPLACE=1", "SIZE=64", "FLOOR=", "MODEL=finetuned") for line in block_of(words)
    ]
    listed = [line for block in blocks(PAGE, "sh") for line in block.splitlines()]
    assert len(run) == len(listed) - len(ELSEWHERE)
    assert set(ELSEWHERE) <= set(listed)


def test_folders_of_images_and_objects_are_trained_on_and_packed(reader):
    for command in block_of("VOCdevkit"):
        reader.run(command)
    assert card(reader, "resnet18", "2.0")["data"]["name"] == "folder"
    assert (reader.checkout / "archive" / "store" / "ssd-1.0.mar.sig").is_file()


def test_other_data_need_another_version_or_replace_the_weights(reader):
    for command in block_of("REPLACE=1"):
        reader.run(command)
    assert [card(reader, "resnet18", version)["data"]["name"] for version in ("1.0", "1.1")] == ["other"] * 2


def test_options_are_in_the_card(reader):
    first, second, packed = (
        command.replace("VERSION=1.", "VERSION=5.").replace("weights.pth", "./weights.pth")
        for command in block_of("SIZE=64")
    )
    reader.run(first)
    assert card(reader, "resnet18", "5.1")["recipe"]["epochs"] == 20
    reader.run(second)
    assert card(reader, "resnet18", "5.2")["recipe"]["augment"] == ["flip", "gray"]
    torch.save(load_file(reader.checkout / "artifacts/resnet18/2.0/model.safetensors"), reader.checkout / "weights.pth")
    reader.run(packed)
    assert (reader.checkout / "archive" / "store" / "resnet18-5.3.mar").is_file()


def test_a_floor_that_the_user_requests_is_checked(reader):
    floor, accepted = block_of("FLOOR=")
    assert "FLOOR" in floor
    reader.run(floor.replace("0.9", "0.01"))
    with pytest.raises(AssertionError, match="accuracy"):
        reader.run(f"{floor.replace('0.9', '1.01')} VERSION=1.1")
    assert "FLOOR" not in accepted
    reader.run(accepted)  # the starters, which reach theirs


def test_few_images_are_enough_for_a_network_that_was_trained_before(reader):
    for command in block_of("MODEL=finetuned"):
        reader.run(command)
    image = (reader.checkout / "folder" / "dog" / "3.png").read_bytes()
    url = f"http://127.0.0.1:{reader.port}/predictions/finetuned"
    response = httpx.post(url, content=image, headers={"content-type": "image/png"}, trust_env=False)
    assert {one["label"] for one in response.json()["predictions"]} == {"cat", "dog"}
