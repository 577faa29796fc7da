"""Faces: images, and how similar two must be to be of one person."""

from dataclasses import dataclass

from handlers.codecs.image import ImageCodec


@dataclass(frozen=True)
class FaceCodec(ImageCodec):
    """The image of one face, cut out as those it was trained on; from the similarity `threshold` on, two are taken for
    the same person. Training sets it on people that are neither trained nor tested on.
    """

    threshold: float = 0.5
