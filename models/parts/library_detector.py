"""Detectors of a library, which scale and normalize images and apply NMS themselves, behind the interface of Detector.

The networks of torchvision.models.detection take a list of images in 0..1, of any size, and return a dictionary of
boxes, labels and scores for each, in pixels of the image.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from models.parts.detection import Detections, Detector, Target

PADDING = -1.0  # what no pixel and no score is


class LibraryDetector(Detector):
    """The library's network as `detector`. Images run one by one: in a batch the library would pad them, and the
    response to one would depend on the others.
    """

    def __init__(self, detector: nn.Module) -> None:
        super().__init__()
        self.detector = detector

    @classmethod
    def of(cls, build: Callable[..., nn.Module]) -> Callable[..., "LibraryDetector"]:
        """Return the function that builds the library's network with `build` and wraps it, for a CARD."""

        def built(**arguments: Any) -> LibraryDetector:
            return cls(build(**arguments))

        return built

    def forward(self, images: Tensor) -> Tensor:
        """Return the objects of each image, (N, M, 6): box, score and label, rows of PADDING at the end.

        images: (N, 3, H, W) in 0..1, padded with PADDING on the right and at the bottom.
        """
        return pad_sequence([self._rows(image) for image in images], batch_first=True, padding_value=PADDING)

    def _rows(self, image: Tensor) -> Tensor:
        """Return the objects of one image, (M, 6), in the library's order, best first."""
        own = image[0] != PADDING
        (found,) = self.detector([image[:, : int(own[:, 0].sum()), : int(own[0].sum())]])
        columns = (found["boxes"], found["scores"].unsqueeze(1), found["labels"].unsqueeze(1).to(found["boxes"].dtype))
        return torch.cat(columns, dim=1)

    def detections(self, raw: Tensor) -> list[Detections]:
        """Return the objects of each image; labels are numbers of the library, in which 0 may be the background."""
        own = [rows[rows[:, 4] != PADDING] for rows in raw]
        return [{"boxes": rows[:, :4], "scores": rows[:, 4], "labels": rows[:, 5].long()} for rows in own]

    def losses(self, images: Tensor, targets: list[Target]) -> dict[str, Tensor]:
        """Raise NotImplementedError: the weights were trained elsewhere."""
        raise NotImplementedError("a library's detector is trained by its own program")
