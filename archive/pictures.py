"""docs/pictures/<task>.png: what the models of each task answer as a picture, or explain as one, to their examples."""

import io
from pathlib import Path

import torch
from PIL import Image

import models
from archive.inputs import handler_class
from handlers.replies import Answer
from handlers.row import Row

WIDEST, COLOURS = 480, 64  # pixels and colours: they are for a page of documentation


def write(artifacts: Path, version: str, folder: Path) -> list[Path]:
    """A picture a task, by the first of its models that is trained; tasks whose replies are no pictures have none."""
    first: dict[str, str] = {}
    for name in models.names():
        if (artifacts / name / version / "card.json").is_file():
            first.setdefault(models.find(name).task, name)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for task, name in sorted(first.items()):
        picture = answer(task, artifacts / name / version)
        if picture is not None:
            written.append(folder / f"{task}.png")
            small(picture).save(written[-1], optimize=True)
    return written


def answer(task: str, weights: Path) -> bytes | None:
    """What the handler says to the card's example when it is asked for a PNG: the answer, or else the explanation."""
    handler = handler_class(task)()
    handler.load(weights, torch.device("cpu"))
    example = handler.card["example"]
    asked = {"content-type": example["content_type"], "accept": "image/png"}
    item = handler.decode(Row({"body": (weights / example["file"]).read_bytes()}, asked, "picture"))
    with torch.inference_mode():
        reply = handler.encode(handler.forward(handler.collate([item]))[0], item)
    if not isinstance(reply, Answer) and handler.EXPLANATION is not None:
        reply = handler.explain(item, None)
    return reply.body if isinstance(reply, Answer) and reply.content_type == "image/png" else None


def small(picture: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    image.thumbnail((WIDEST, WIDEST))
    return image.quantize(COLOURS)
