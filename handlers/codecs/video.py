"""Videos: from the bytes of a file to a clip of a few frames."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import av
import torch
from torch import Tensor
from torchvision.transforms.v2.functional import center_crop, resize

from handlers.codecs.upload import file_bytes
from handlers.errors import BadRequest

# What a file starts with, and the one demuxer that may then read it: left to guess, FFmpeg also reads playlists,
# which can make a server fetch other files and addresses.
MAGIC = ((0, b"RIFF", "avi"), (4, b"ftyp", "mov"), (0, b"\x1a\x45\xdf\xa3", "matroska"), (0, b"GIF8", "gif"))
NAMES = "AVI, MP4, WebM, GIF"
MAX_SECONDS = 300
MAX_FRAMES = 3_000
MAX_PIXELS = 1_000_000_000  # in all frames together: some five seconds of unpacking on one core
FEWEST = 2  # frames: with one there is no motion to look at
CUT_SHORT = 0.9  # of the frames that the header promises; some writers count one or two too many


def video_bytes(value: Any) -> bytes:
    """The bytes of a video that was sent raw, as a form part, or as base64 in JSON (a data: URL will do)."""
    return file_bytes(value, "video")


@dataclass(frozen=True)
class Clip:
    """`pixels`: (C, T, S, S) of uint8; `places`: which frames of the video these are, T of them, counted from 0."""

    pixels: Tensor
    places: list[int]


@contextmanager
def opened(data: bytes) -> Iterator[Any]:
    """The file, open for reading; raises BadRequest for what is no video, and for what FFmpeg can't go on with."""
    kind = next((kind for start, magic, kind in MAGIC if data[start : start + len(magic)] == magic), None)
    if kind is None:
        raise BadRequest("video", f"not a video, or not one of {NAMES}")
    try:
        with av.open(io.BytesIO(data), format=kind) as container:
            if not container.streams.video:
                raise BadRequest("video", "the file holds no video")
            yield container
    except (av.error.FFmpegError, EOFError) as fault:
        raise BadRequest(
            "video", f"damaged video: {fault.strerror if isinstance(fault, OSError) else fault}"
        ) from fault


def count_frames(data: bytes) -> int:
    """How many frames the video has; raises BadRequest for too many, too few or too large ones. Unpacks none."""
    with opened(data) as container:
        stream = container.streams.video[0]
        seconds = (container.duration or 0) / av.time_base
        if seconds > MAX_SECONDS:
            raise BadRequest("video", f"{seconds:.0f} seconds are over the limit of {MAX_SECONDS}")
        count = 0
        for packet in container.demux(stream):
            count += packet.size > 0
            check_size(count, stream.width * stream.height)
        if count < stream.frames * CUT_SHORT:
            raise BadRequest("video", f"damaged video: {count} frames are left of {stream.frames}")
    if count < FEWEST:
        raise BadRequest("video", f"{count} frame{'s' * (count != 1)}; motion takes at least {FEWEST}")
    return count


def check_size(frames: int, pixels: int) -> None:
    """Raises BadRequest if that many frames of that many pixels are over a limit."""
    if frames > MAX_FRAMES:
        raise BadRequest("video", f"more than {MAX_FRAMES} frames")
    if frames * pixels > MAX_PIXELS:
        raise BadRequest("video", f"more than {MAX_PIXELS} pixels in all frames: send a shorter or a smaller video")


@dataclass(frozen=True)
class VideoCodec:
    """`frames` frames, evenly spaced over the whole video, each cut to a square and scaled to `size` pixels; `mean` and
    `std`, by channel, are of values in 0..1.
    """

    frames: int
    size: int
    mean: Sequence[float]
    std: Sequence[float]

    def clip(self, data: bytes) -> Clip:
        """The bytes of a video file -> (3, frames, size, size). Of a video with fewer frames some come twice."""
        wanted = torch.linspace(0, count_frames(data) - 1, self.frames).round().int().tolist()
        squares: dict[int, Tensor] = {}
        with opened(data) as container:
            container.streams.video[0].codec_context.thread_count = 1  # a worker must not take every core
            for place, frame in enumerate(container.decode(video=0)):
                check_size(place + 1, frame.width * frame.height)  # a frame may be larger than the header says
                if place in wanted:
                    squares[place] = self._square(frame)
                if place == wanted[-1]:
                    break
        if len(squares) < FEWEST:
            raise BadRequest("video", "damaged video: its frames can't be unpacked")
        last = max(squares)  # a frame that is only announced, or was lost, gives way to the last one there is
        places = [place if place in squares else last for place in wanted]
        return Clip(torch.stack([squares[place] for place in places], dim=1), places)

    def _square(self, frame: Any) -> Tensor:
        """One frame -> (3, size, size) of uint8."""
        pixels = torch.from_numpy(frame.to_ndarray(format="rgb24")).permute(2, 0, 1)
        pixels = pixels.rot90(round(frame.rotation / 90), dims=(1, 2))  # telephones film as they are held
        side = min(pixels.shape[1:])
        return resize(center_crop(pixels, [side, side]), [self.size, self.size], antialias=True)

    def normalize(self, clips: Tensor) -> Tensor:
        """(..., C, T, S, S) of uint8 -> the same of float32, each channel with about zero mean and unit variance."""
        mean, std = (moment.to(clips.device) for moment in self._moments)
        return (clips / 255 - mean) / std

    @cached_property
    def _moments(self) -> tuple[Tensor, Tensor]:
        mean, std = (torch.tensor(moment).view(-1, 1, 1, 1) for moment in (self.mean, self.std))
        return mean, std
