"""UCF-101: a folder of video clips for each class, and the official lists of train and test clips."""

import re
from collections.abc import Sequence
from pathlib import Path

from marina.training.data.dataset import ALL_GIVEN, HELD_OUT, UNDIVIDED, Dataset, FileContents, Format, Split

CLIPS, LISTS = "UCF-101", "ucfTrainTestlist"
PATTERN = "*/v_*_g*_c*.avi"
GROUP = re.compile(r"_g(\d+)_c\d+\.avi$")  # a group: the clips of one scene, one person before one background
TEST_SHARE, VALIDATION_SHARE = 7 / 25, 1 / 10  # of the groups; UCF-101's first split tests on 7 of 25
MIN_GROUPS = 3  # of a class, so that each split has one


def is_ucf101(path: Path) -> bool:
    """Check for a folder with folders of clips that match PATTERN."""
    return path.is_dir() and next(_clips(path).glob(PATTERN), None) is not None


def read_ucf101(path: Path) -> Dataset:
    """Read the first official split if its lists exist; otherwise the first groups of each class are for testing.

    The last groups of the training clips are for validation. No group is in two splits. Raises ValueError if a listed
    clip is missing, or if a class has too few groups.
    """
    lists = next((one / LISTS for one in (path, path.parent) if (one / LISTS).is_dir()), None)
    if lists is None:
        clips = sorted(_clips(path).glob(PATTERN))
        labels = tuple(sorted({clip.parent.name for clip in clips}))
        train, test = _by_group(clips, TEST_SHARE, first=True)
    else:
        labels = tuple(line.split()[1] for line in _lines(lists / "classInd.txt"))
        train, test = (_listed(lists / name, _clips(path)) for name in ("trainlist01.txt", "testlist01.txt"))
    train, validation = _by_group(train, VALIDATION_SHARE, first=False)
    splits = UNDIVIDED if lists is None else {**ALL_GIVEN, "validation": HELD_OUT}
    made = [_split(clips, labels) for clips in (train, validation, test)]
    return Dataset(made[0], made[1], made[2], labels=labels, splits=splits)


def group(clip: Path) -> int:
    """Return the number of the scene that the clip was cut from.

    >>> group(Path("v_Archery_g07_c02.avi"))
    7
    """
    found = GROUP.search(clip.name)
    if found is None:
        raise ValueError(f"{clip}: no group in its name; expected an end such as _g01_c01.avi")
    return int(found[1])


def _clips(path: Path) -> Path:
    return path / CLIPS if (path / CLIPS).is_dir() else path


def _lines(file: Path) -> list[str]:
    return [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]


def _listed(file: Path, clips: Path) -> list[Path]:
    """The clips of a list. Lines are <class>/<clip>, in trainlist01.txt followed by the number of the class."""
    paths = [clips / line.split()[0] for line in _lines(file)]
    if missing := [clip.name for clip in paths if not clip.is_file()]:
        raise ValueError(f"{file} lists {len(missing)} clips that do not exist, such as {missing[0]}")
    return paths


def _by_group(clips: Sequence[Path], share: float, first: bool) -> tuple[list[Path], list[Path]]:
    """(remaining, held out): in each class `share` of the groups is held out, at least one, the first or the last."""
    groups: dict[str, set[int]] = {}
    for clip in clips:
        groups.setdefault(clip.parent.name, set()).add(group(clip))
    held_out: dict[str, set[int]] = {}
    for label, numbers in groups.items():
        if len(numbers) < MIN_GROUPS - (not first):
            raise ValueError(f"{label} has {len(numbers)} groups of clips, too few for three splits")
        in_order = sorted(numbers, reverse=not first)
        held_out[label] = set(in_order[: max(1, round(share * len(numbers)))])
    remaining: list[Path] = []
    selected: list[Path] = []
    for clip in clips:
        (selected if group(clip) in held_out[clip.parent.name] else remaining).append(clip)
    return remaining, selected


def _split(clips: Sequence[Path], labels: Sequence[str]) -> Split:
    return Split(FileContents(clips), [labels.index(clip.parent.name) for clip in clips])


FORMATS = (
    Format(
        "ucf101",
        "UCF-101: <class>/v_<class>_g01_c01.avi, in UCF-101/ or directly; ucfTrainTestlist/ beside it",
        is_ucf101,
        read_ucf101,
    ),
)
