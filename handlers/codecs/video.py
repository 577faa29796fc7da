"""Codec for videos: from the bytes of a file to a clip of a few frames."""

import io
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import av
import torch
from torch import Tensor
from torchvision.transforms.v2.functional import center_crop, resize

from handlers.codecs.decoding_budget import spend_pixels
from handlers.codecs.upload import file_bytes
from handlers.errors import BadRequest

# The offset and bytes of a file's signature, and the only demuxer that may read such a file. If FFmpeg guesses, it also
# reads playlists, which can make a server fetch other files and addresses.
MAGIC = ((0, b"RIFF", "avi"), (4, b"ftyp", "mov"), (0, b"\x1a\x45\xdf\xa3", "matroska"), (0, b"GIF8", "gif"))
FORMAT_NAMES = "AVI, MP4, WebM, GIF"
MAX_SECONDS = 300
MAX_FRAMES = 3_000
MAX_PIXELS = 1_000_000_000  # of all frames: about five seconds of decoding on one core
MAX_FRAME_PIXELS = 10_000_000  # of one frame, above 4K: a decoder keeps up to 16 of them
MAX_DECODING_SECONDS = 10.0  # that all frames may take
VIDEO_SPEED = 25  # pixels of a video that are decoded in the time of one of a PNG
MIN_FRAMES = 2  # one frame shows no motion
MIN_FRAME_SHARE = 0.9  # of the frames that the header declares; some encoders count one or two too many


def video_bytes(value: Any) -> bytes:
    """Return the bytes of a video that was sent raw, as a form part, or as base64 in JSON (also as a data: URL).

    Raises BadRequest if there are none.
    """
    return file_bytes(value, "video")


@dataclass(frozen=True)
class Clip:
    """Frames of a video: `pixels` (C, T, S, S) of uint8, and `places`, the T indices of these frames, from 0."""

    pixels: Tensor
    places: list[int]


@contextmanager
def open_video(data: bytes) -> Iterator[Any]:
    """Open a video file. Raises BadRequest for a file that is no video, and for one that FFmpeg can't decode."""
    kind = next((kind for start, magic, kind in MAGIC if data[start : start + len(magic)] == magic), None)
    if kind is None:
        raise BadRequest("video", f"not a video, or not one of {FORMAT_NAMES}")
    try:
        with av.open(io.BytesIO(data), format=kind) as container:
            if not container.streams.video:
                raise BadRequest("video", "the file holds no video")
            yield container
    except (av.error.FFmpegError, EOFError) as exc:
        raise BadRequest("video", f"damaged video: {exc.strerror if isinstance(exc, OSError) else exc}") from exc


def count_frames(data: bytes) -> int:
    """Count the frames of a video without decoding any. Raises BadRequest for too many, too few or too large ones."""
    with open_video(data) as container:
        stream = container.streams.video[0]
        seconds = (container.duration or 0) / av.time_base
        if seconds > MAX_SECONDS:
            raise BadRequest("video", f"{seconds:.0f} seconds are over the limit of {MAX_SECONDS}")
        count = 0
        for packet in container.demux(stream):
            count += packet.size > 0
            check_size(count, stream.width * stream.height)
        spend_pixels(count * stream.width * stream.height // VIDEO_SPEED, "video")
        if count < stream.frames * MIN_FRAME_SHARE:
            raise BadRequest("video", f"damaged video: {count} frames are left of {stream.frames}")
    if count < MIN_FRAMES:
        raise BadRequest("video", f"{count} frame{'s' * (count != 1)}; motion takes at least {MIN_FRAMES}")
    return count


def check_size(frames: int, pixels: int) -> None:
    """Raise BadRequest if this number of frames, of this number of pixels each, is over a limit."""
    if frames > MAX_FRAMES:
        raise BadRequest("video", f"more than {MAX_FRAMES} frames")
    if pixels > MAX_FRAME_PIXELS:
        raise BadRequest("video", f"more than {MAX_FRAME_PIXELS} pixels in a frame: send a smaller video")
    if frames * pixels > MAX_PIXELS:
        raise BadRequest("video", f"more than {MAX_PIXELS} pixels in all frames: send a shorter or a smaller video")


@dataclass(frozen=True)
class VideoCodec:
    """A clip of `frames` frames, evenly spaced over the whole video, each cropped to a square and scaled to `size`
    pixels; `mean` and `std`, by channel, are of values in 0..1.
    """

    frames: int
    size: int
    mean: Sequence[float]
    std: Sequence[float]

    def clip(self, data: bytes) -> Clip:
        """Decode a video file to a clip of (3, frames, size, size); a video with fewer frames repeats some.

        Raises BadRequest if the file is no video, damaged, or over a limit.
        """
        indices = torch.linspace(0, count_frames(data) - 1, self.frames).round().int().tolist()
        squares: dict[int, Tensor] = {}
        deadline = time.monotonic() + MAX_DECODING_SECONDS
        with open_video(data) as container:
            decoder = container.streams.video[0].codec_context
            decoder.thread_count = 1  # a worker must not occupy every core
            decoder.options = {"max_pixels": str(MAX_FRAME_PIXELS)}  # a frame may be larger than the header declares
            for place, frame in enumerate(container.decode(video=0)):
                check_size(place + 1, frame.width * frame.height)
                if time.monotonic() > deadline:
                    raise BadRequest(
                        "video", f"takes more than {MAX_DECODING_SECONDS:g} s to decode: send a shorter one"
                    )
                if place in indices:
                    squares[place] = self._square(frame)
                if place == indices[-1]:
                    break
        if len(squares) < MIN_FRAMES:
            raise BadRequest("video", "damaged video: its frames can't be unpacked")
        last = max(squares)  # a frame that is declared but missing is replaced by the last one
        places = [place if place in squares else last for place in indices]
        return Clip(torch.stack([squares[place] for place in places], dim=1), places)

    def _square(self, frame: Any) -> Tensor:
        """Rotate, crop and scale one frame to (3, size, size) of uint8."""
        pixels = torch.from_numpy(frame.to_ndarray(format="rgb24")).permute(2, 0, 1)
        pixels = pixels.rot90(round(frame.rotation / 90), dims=(1, 2))  # phones store the rotation beside the pixels
        side = min(pixels.shape[1:])
        return resize(center_crop(pixels, [side, side]), [self.size, self.size], antialias=True)

    def normalize(self, clips: Tensor) -> Tensor:
        """Give each channel about zero mean and unit variance: (..., C, T, S, S), uint8 -> float32."""
        mean, std = (moment.to(clips.device) for moment in self._moments)
        return (clips / 255 - mean) / std

    @cached_property
    def _moments(self) -> tuple[Tensor, Tensor]:
        mean, std = (torch.tensor(moment).view(-1, 1, 1, 1) for moment in (self.mean, self.std))
        return mean, std
