"""UCF-101 from tiny files, with and without its lists, and the motions of the stand-in."""

import numpy as np
import pytest

from marina.training import data
from marina.training.data.formats.ucf101 import group
from marina.training.data.standins.moving_digits import MOTIONS, avi, frames
from tests.support.video_samples import clip


def write_clips(root, labels=("Archery", "YoYo"), groups=range(1, 11), clips=2):
    for label in labels:
        (root / label).mkdir(parents=True)
        for number in groups:
            for one in range(1, clips + 1):
                (root / label / f"v_{label}_g{number:02}_c{one:02}.avi").write_bytes(clip(number + one))


def groups_of(split):
    return {group(path) for path in split.inputs.paths}


def test_the_official_lists_determine_the_split(elsewhere):
    write_clips(elsewhere / "set" / "UCF-101")
    lists = elsewhere / "set" / "ucfTrainTestlist"
    lists.mkdir()
    (lists / "classInd.txt").write_text("1 YoYo\n2 Archery\n")  # the numbers determine the order, not the alphabet
    test = [f"{label}/v_{label}_g01_c01.avi" for label in ("Archery", "YoYo")]
    train = [f"{label}/v_{label}_g{g:02}_c02.avi {n}" for n, label in ((2, "Archery"), (1, "YoYo")) for g in (3, 4, 5)]
    (lists / "testlist01.txt").write_text("\n".join(test) + "\n\n")
    (lists / "trainlist01.txt").write_text("\r\n".join(train))
    for path in ("set", "set/UCF-101"):
        dataset = data.find(f"./{path}").load()
        assert dataset.labels == ("YoYo", "Archery")
        assert dataset.sizes == {"train": 4, "validation": 2, "test": 2}
        assert list(dataset.test.targets) == [1, 0]
        assert dataset.test.inputs[0] == clip(2)
        assert dataset.validation.inputs[0] == clip(7)  # the last group
    (lists / "testlist01.txt").write_text("YoYo/v_YoYo_g24_c01.avi\n")
    with pytest.raises(ValueError, match="lists 1 clips that do not exist, such as v_YoYo_g24_c01"):
        data.find("./set").load()


def test_without_lists_no_group_is_in_two_splits(elsewhere):
    write_clips(elsewhere / "mine")
    dataset = data.find("./mine").load()
    assert dataset.labels == ("Archery", "YoYo")
    assert dataset.sizes == {"train": 24, "validation": 4, "test": 12}
    test, validation = groups_of(dataset.test), groups_of(dataset.validation)
    assert (test, validation, groups_of(dataset.train)) == ({1, 2, 3}, {10}, {4, 5, 6, 7, 8, 9})


def test_a_class_with_two_groups_is_refused(elsewhere):
    write_clips(elsewhere / "mine", groups=(1, 2))
    with pytest.raises(ValueError, match="Archery has 2 groups"):
        data.find("./mine").load()


@pytest.mark.parametrize("motion", MOTIONS)
def test_each_motion_matches_its_name(motion):
    random = np.random.default_rng(0)
    digit, black = np.full((28, 28), 255, np.uint8), np.zeros((64, 64, 3), np.uint8)
    moving = frames(motion, digit, black, random)[..., 0].astype(float)
    rows, columns = np.mgrid[:64, :64]
    mass = moving.sum(axis=(1, 2))
    down, right = ((moving * axis).sum(axis=(1, 2)) / mass for axis in (rows, columns))
    match motion:
        case "MoveLeft" | "MoveRight":
            assert (right[-1] - right[0] > 8) == (motion == "MoveRight")
            assert abs(down[-1] - down[0]) < 3
        case "MoveUp" | "MoveDown":
            assert (down[-1] - down[0] > 8) == (motion == "MoveDown")
        case "ZoomIn" | "ZoomOut":
            assert (mass[-1] > 1.5 * mass[0]) == (motion == "ZoomIn")
        case "Shake":
            assert np.abs(np.diff(right)).mean() > 2
        case _:
            x, y = right - right.mean(), down - down.mean()
            turned = (x[:-1] * y[1:] - x[1:] * y[:-1]).sum()  # positive where the angle grows, rows counted downward
            assert (turned > 0) == (motion == "CircleClockwise")
    clip_of = frames(motion, digit, black, random)
    assert avi(clip_of) == avi(clip_of)
