"""Sample videos in every file format."""

import base64
import io

import av
import numpy as np

ENCODERS = {
    "avi": ("mpeg4", "yuv420p"),
    "mp4": ("mpeg4", "yuv420p"),
    "webm": ("libvpx", "yuv420p"),
    "gif": ("gif", "rgb8"),
}


def clip(count: int = 20, size: tuple[int, int] = (48, 32), kind: str = "avi", codec: str | None = None) -> bytes:
    """Encode a video whose frames get brighter: frame i has grey level 12 * i."""
    encoder, pixels = ENCODERS[kind]
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=kind) as container:
        stream = container.add_stream(codec or encoder, rate=25, width=size[0], height=size[1], pix_fmt=pixels)
        for number in range(count):
            grey = np.full((size[1], size[0], 3), 12 * number % 256, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24").reformat(format=pixels)))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def sound() -> bytes:
    """Encode an .avi file with audio only."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="avi") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), dtype=np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


BASE64 = base64.b64encode(clip()).decode()
