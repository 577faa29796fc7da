"""Videos -> classes."""

import torch
from torch import Tensor

from handlers.codecs.video import VideoCodec
from tests.clips import BASE64, clip, sound
from tests.samples import picture
from tests.tasks.answers import probabilities as numbers
from tests.worker import JSON, Ask

__all__ = ["BAD", "EXPORTED", "GOOD", "facts", "inputs", "numbers"]


def facts(card):
    return VideoCodec(**card.input), {"num_classes": 9}, [f"motion {number}" for number in range(9)]


def inputs(codec, arguments, count) -> Tensor:
    size = (count, 3, codec.frames, codec.size, codec.size)
    generator = torch.Generator().manual_seed(1)
    return codec.normalize(torch.randint(0, 256, size, generator=generator, dtype=torch.uint8))


GOOD = {
    "raw AVI": Ask({"body": clip()}, {"content-type": "video/x-msvideo"}),
    "raw MP4, no content type, bytearray": Ask({"body": bytearray(clip(kind="mp4"))}),
    "WebM as a form part": Ask({"video": clip(kind="webm")}),
    "GIF": Ask({"body": clip(kind="gif")}, {"content-type": "image/gif"}),
    "base64 in JSON": Ask({"body": {"video": BASE64}}, JSON),
    "data URL": Ask({"body": {"video": "data:video/x-msvideo;base64," + BASE64}}, JSON),
    "two frames": Ask({"body": clip(2)}),
    "upright": Ask({"body": clip(size=(32, 80))}),
    "top in the query": Ask({"body": clip()}, {"x-request-query": "top=9"}),
}

# name: (request, the field that the 400 names)
BAD = {
    "one frame": (Ask({"body": clip(1)}), "video"),
    "a still GIF": (Ask({"body": picture(kind="GIF")}), "video"),
    "AVI cut short": (Ask({"body": clip()[: len(clip()) // 2]}), "video"),
    "MP4 cut short": (Ask({"body": clip(kind="mp4")[: len(clip(kind="mp4")) // 2]}), "video"),
    "a header and nothing else": (Ask({"body": clip()[:100]}), "video"),
    "noise behind a header": (Ask({"body": clip(kind="webm")[:300] + b"\xff" * 500}), "video"),
    "too many frames": (Ask({"body": clip(3_100, (16, 16))}), "video"),
    "sound alone": (Ask({"body": sound()}), "video"),
    "a picture": (Ask({"body": picture()}), "video"),
    "a playlist": (Ask({"body": b"#EXTM3U\n#EXTINF:10,\nhttp://127.0.0.1/secret.ts\n"}), "video"),
    "empty body": (Ask({"body": b""}), "video"),
    "no body": (Ask({}), "video"),
    "not a video": (Ask({"body": b"hello"}), "video"),
    "wrong JSON": (Ask({"body": b'{"video": '}, JSON), "body"),
    "wrong member": (Ask({"body": {"image": BASE64}}, JSON), "video"),
    "not base64": (Ask({"body": {"video": "%%%"}}, JSON), "video"),
    "a number": (Ask({"body": {"video": 7}}, JSON), "video"),
    "top 0": (Ask({"video": clip(), "top": b"0"}), "top"),
}

EXPORTED = ("example.avi", "video/x-msvideo", clip())
