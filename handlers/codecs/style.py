"""What style transfer works on: whole pictures, at the size that is asked for, and styles by their names."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor
from torchvision.transforms.v2.functional import resize

from handlers.codecs.image import ImageCodec, read_pixels
from handlers.errors import BadRequest

SMALLEST, LARGEST = 64, 256  # pixels of the longer side: four times as many take four times as long
NARROWEST = 16  # pixels of the shorter side, of which three poolings leave two


@dataclass(frozen=True)
class StyleCodec(ImageCodec):
    """`size` is that of the longer side where none is asked for; `styles` are files of pictures, in base64."""

    styles: Mapping[str, str] = field(default_factory=dict)

    def picture(self, data: bytes, size: int, name: str) -> tuple[Tensor, tuple[int, int]]:
        """The bytes of an image file -> (3, H, W) of uint8, of which the longer side is `size`, and the width and
        height that it had. Raises BadRequest, which calls the image `name`."""
        try:
            image = read_pixels(data, self.channels)
        except BadRequest as fault:
            raise BadRequest(name, fault.why) from fault
        height, width = image.shape[1:]
        scaled = [round(side * size / max(height, width)) for side in (height, width)]
        if min(scaled) < NARROWEST:
            raise BadRequest(name, f"{width} x {height} is too long a strip: at most {size // NARROWEST} to 1")
        return resize(image, scaled, antialias=True).contiguous(), (width, height)

    def style(self, name: str) -> bytes:
        """The file of a style of our own; raises BadRequest for a name that there is not."""
        if name not in self.styles:
            raise BadRequest("style", f"neither a picture nor one of {', '.join(self.styles)}")
        return base64.b64decode(self.styles[name])
