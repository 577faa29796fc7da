"""Sizes of images that a network takes, found by sending it some: on the meta device, which computes shapes alone."""

import inspect
import warnings
from collections.abc import Sequence

import torch

from marina.errors import MarinaError
from models.card import Card

SIZES = range(8, 257, 4)  # that a message is based on
SHOWN = 8  # sizes in a message
DEVICES = ("meta", "cpu")  # some detectors compute boxes, which have no shape before they have values


def check(card: Card, changed: Card) -> None:
    """Raise MarinaError, with the sizes that the network takes, if it does not take those of the `changed` CARD.

    Does nothing for networks without a size, and for those that don't take images.
    """
    size, usual = changed.input.get("size"), card.input.get("size")
    if size == usual or size is None:
        return
    device = next((one for one in DEVICES if takes(card, int(usual or 0), one)), None)
    if device is None or takes(changed, size, device):
        return
    known = [one for one in SIZES if takes(card, one, device)]
    raise MarinaError(f"{card.name} takes images of {in_words(known)} pixels a side, not of {size} (input.size)")


def takes(card: Card, size: int, device: str) -> bool:
    """Return whether the network has an output for images of this size."""
    channels = card.input.get("channels", 3)
    frames = [card.input["frames"]] if "frames" in card.input else []
    arguments = {"size": size} if "size" in inspect.signature(card.network).parameters else {}
    try:
        with torch.device(device), torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            card.network(**arguments).eval()(torch.zeros(1, channels, *frames, size, size))
    except Exception:  # whatever a network raises for shapes that it does not take
        return False
    return True


def in_words(sizes: Sequence[int]) -> str:
    """Return sizes out of SIZES in words.

    >>> in_words([28]), in_words([24, 28]), in_words(range(32, 257, 4)), in_words(range(32, 257, 32))
    ('28', '24 or 28', '32 and more', 'multiples of 32')
    """
    if sizes and list(sizes) == [size for size in SIZES if size >= sizes[0]]:
        return f"{sizes[0]} and more"
    if sizes and list(sizes) == [size for size in SIZES if size % sizes[0] == 0]:
        return f"multiples of {sizes[0]}"
    *most, last = map(str, sizes[:SHOWN])
    return f"{', '.join(most)} or {last}" if most else last
