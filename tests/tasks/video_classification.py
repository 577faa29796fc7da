"""Videos -> classes."""

import torch
from torch import Tensor

from handlers.codecs.video import VideoCodec
from tests.support.samples import picture
from tests.support.video_samples import BASE64, clip, sound
from tests.support.worker import JSON, SampleRequest
from tests.tasks.common.class_probabilities import probabilities as numbers

__all__ = ["BAD", "EXPORTED", "GOOD", "facts", "inputs", "numbers"]


def facts(card):
    return VideoCodec(**card.input), {"num_classes": 9}, [f"motion {number}" for number in range(9)]


def inputs(codec, arguments, count) -> Tensor:
    size = (count, 3, codec.frames, codec.size, codec.size)
    generator = torch.Generator().manual_seed(1)
    return codec.normalize(torch.randint(0, 256, size, generator=generator, dtype=torch.uint8))


GOOD = {
    "raw AVI": SampleRequest({"body": clip()}, {"content-type": "video/x-msvideo"}),
    "raw MP4, no content type, bytearray": SampleRequest({"body": bytearray(clip(kind="mp4"))}),
    "WebM as a form part": SampleRequest({"video": clip(kind="webm")}),
    "GIF": SampleRequest({"body": clip(kind="gif")}, {"content-type": "image/gif"}),
    "base64 in JSON": SampleRequest({"body": {"video": BASE64}}, JSON),
    "data URL": SampleRequest({"body": {"video": "data:video/x-msvideo;base64," + BASE64}}, JSON),
    "two frames": SampleRequest({"body": clip(2)}),
    "upright": SampleRequest({"body": clip(size=(32, 80))}),
    "top in the query": SampleRequest({"body": clip()}, {"x-request-query": "top=9"}),
}

# name: (request, the field that the 400 names)
BAD = {
    "one frame": (SampleRequest({"body": clip(1)}), "video"),
    "a still GIF": (SampleRequest({"body": picture(kind="GIF")}), "video"),
    "AVI cut short": (SampleRequest({"body": clip()[: len(clip()) // 2]}), "video"),
    "MP4 cut short": (SampleRequest({"body": clip(kind="mp4")[: len(clip(kind="mp4")) // 2]}), "video"),
    "a header and nothing else": (SampleRequest({"body": clip()[:100]}), "video"),
    "noise behind a header": (SampleRequest({"body": clip(kind="webm")[:300] + b"\xff" * 500}), "video"),
    "too many frames": (SampleRequest({"body": clip(3_100, (16, 16))}), "video"),
    "sound alone": (SampleRequest({"body": sound()}), "video"),
    "a picture": (SampleRequest({"body": picture()}), "video"),
    "a playlist": (SampleRequest({"body": b"#EXTM3U\n#EXTINF:10,\nhttp://127.0.0.1/secret.ts\n"}), "video"),
    "empty body": (SampleRequest({"body": b""}), "video"),
    "no body": (SampleRequest({}), "video"),
    "not a video": (SampleRequest({"body": b"hello"}), "video"),
    "wrong JSON": (SampleRequest({"body": b'{"video": '}, JSON), "body"),
    "wrong member": (SampleRequest({"body": {"image": BASE64}}, JSON), "video"),
    "not base64": (SampleRequest({"body": {"video": "%%%"}}, JSON), "video"),
    "a number": (SampleRequest({"body": {"video": 7}}, JSON), "video"),
    "top 0": (SampleRequest({"video": clip(), "top": b"0"}), "top"),
}

EXPORTED = ("example.avi", "video/x-msvideo", clip())
