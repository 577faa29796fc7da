"""Codec for style transfer: whole images at a requested size, and built-in styles by their names."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor
from torchvision.transforms.v2.functional import resize

from handlers.codecs.image import ImageCodec
from handlers.codecs.image_file import read_sized
from handlers.errors import BadRequest

MIN_SIDE, MAX_SIDE = 64, 256  # pixels of the longer side; four times the pixels take four times as long
MIN_SHORT_SIDE = 16  # pixels of the shorter side, which three poolings reduce to two


@dataclass(frozen=True)
class StyleCodec(ImageCodec):
    """Images whose longer side is `size` pixels by default; `styles` are image files by name, in base64."""

    styles: Mapping[str, str] = field(default_factory=dict)

    def picture(self, data: bytes, size: int, name: str) -> tuple[Tensor, tuple[int, int]]:
        """Decode an image file and scale its longer side to `size`: (3, H, W) of uint8.

        Returns the width and height of the file's image as well. Raises BadRequest for the field `name`.
        """
        try:
            image, (height, width) = read_sized(data, self.channels, lambda *sides: max(sides) / size)
        except BadRequest as exc:
            raise exc.of_field(name) from exc
        scaled = [round(side * size / max(height, width)) for side in (height, width)]
        if min(scaled) < MIN_SHORT_SIDE:
            raise BadRequest(name, f"{width} x {height} is too long a strip: at most {size // MIN_SHORT_SIDE} to 1")
        return resize(image, scaled, antialias=True).contiguous(), (width, height)

    def style(self, name: str) -> bytes:
        """Return the image file of a built-in style. Raises BadRequest for an unknown name."""
        if name not in self.styles:
            raise BadRequest("style", f"neither a picture nor one of {', '.join(self.styles)}")
        return base64.b64decode(self.styles[name])
