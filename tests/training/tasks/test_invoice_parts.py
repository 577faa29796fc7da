"""Training examples of each part of the invoice network, and its warm start."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from lightning import Trainer
from PIL import Image
from safetensors.torch import save_file

import models
from handlers import codecs
from handlers.codecs.invoice_lines import InvoiceCodec
from handlers.codecs.text_line import TextLineCodec
from marina.training import artifacts, pretrained
from marina.training.data.dataset import Dataset, Split
from marina.training.tasks.document_ocr import invoice_parts
from marina.training.tasks.document_ocr.task import DocumentOcr, crnn_alphabet, remap_classifier

CODEC = InvoiceCodec(1280, "￥.01", 32, 1024)


def page(*boxes, size=(600, 400), step=1) -> bytes:
    pixels = np.full(size[::-1], 240, dtype=np.uint8)
    for x1, y1, x2, y2 in boxes:
        pixels[y1:y2, x1:x2:step] = 20
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def split(count=3) -> Split:
    boxes = [(20, 20, 200, 40), (300, 200, 360, 220)]
    lines = [{"box": list(box), "text": text} for box, text in zip(boxes, ("￥1.00", "0.1"), strict=True)]
    return Split([page(*boxes, step=5)] * count, [{"fields": {}, "lines": lines}] * count)


def test_lines_are_cut_out_of_their_pages_and_labels_do_not_drown_them():
    examples = invoice_parts.lines(CODEC, split(20), np.random.default_rng(0))
    assert len(examples) == 2 * invoice_parts.MAX_REPEATS
    assert list(examples.targets[:2]) == ["￥1.00", "0.1"]
    assert all(30 < ink.float().mean() < 90 and ink.max() == 255 for ink in examples.inputs)  # a fifth of it is ink
    assert len({tuple(ink.shape) for ink in examples.inputs[::2]}) > 1  # not always cut the same


def test_a_tile_has_whole_lines_or_none():
    for seed in range(12):
        random = np.random.default_rng(seed)
        boxes = [(x, y, x + 90, y + 20) for x in (10, 250, 480) for y in range(10, 380, 40)]
        found = [{"box": list(box)} for box in boxes]
        picture, inside = invoice_parts.tile(page(*boxes), found, random)
        pixels = np.asarray(Image.open(io.BytesIO(picture)))
        assert pixels.shape == invoice_parts.TILE[::-1]
        dark = np.zeros_like(pixels, dtype=bool)
        for x1, y1, x2, y2 in inside:
            assert y2 - y1 == 20
            dark[y1:y2, x1:x2] = True
        assert ((pixels < 128) == dark).all()


def test_a_classifier_is_spread_over_a_larger_alphabet():
    learned, own = torch.tensor([[9.0], [1], [2]]), torch.zeros(4, 1) - 1
    assert remap_classifier(learned, "ac", own, "abc").flatten().tolist() == [9, 1, -1, 2]


def test_training_begins_with_what_ctpn_and_crnn_know(elsewhere):
    card = models.find("invoice")
    recipe = replace(card.recipe, batch_size=4)
    with pytest.raises(LookupError, match="make train MODEL=crnn"):
        crnn_alphabet()
    torch.manual_seed(1)
    networks = {"ctpn": models.find("ctpn").network(), "crnn": models.find("crnn").network(num_classes=4)}
    for name, network in networks.items():
        folder = artifacts.folder_of(name, pretrained.VERSION)
        folder.mkdir(parents=True)
        save_file(network.state_dict(), folder / "model.safetensors")
        artifacts.write_json({}, folder / artifacts.CARD)
    codecs.save(TextLineCodec("01x", 32, 1024), artifacts.folder_of("crnn", pretrained.VERSION))
    task = DocumentOcr(card, recipe, Dataset(split(), split(1), split(1)))
    assert task.codec.alphabet == ".01x￥"
    assert torch.equal(task.network.detector.head.weight, networks["ctpn"].head.weight)
    before = {name: weight.clone() for name, weight in task.network.named_parameters()}
    options = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    Trainer(fast_dev_run=2, use_distributed_sampler=False, enable_model_summary=False, **options).fit(task)
    assert [name for name, weight in task.network.named_parameters() if torch.equal(weight, before[name])] == []
    own, learned = before["reader.classifier.weight"], networks["crnn"].classifier.weight
    assert torch.equal(own[[0, 2, 3, 4]], learned)
    assert not torch.equal(own[1], own[5])
