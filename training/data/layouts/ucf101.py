"""UCF-101: a folder of clips for each class, and the official lists of who trains and who tests."""

import re
from collections.abc import Sequence
from pathlib import Path

from training.data.dataset import Dataset, Split
from training.data.lazy import Files

DESCRIPTION = "UCF-101: <class>/v_<class>_g01_c01.avi, in UCF-101/ or straight in there; ucfTrainTestlist/ beside it"
CLIPS, LISTS = "UCF-101", "ucfTrainTestlist"
PATTERN = "*/v_*_g*_c*.avi"
GROUP = re.compile(r"_g(\d+)_c\d+\.avi$")  # a group is the clips of one scene: one person, one background
TEST_SHARE, VALIDATION_SHARE = 7 / 25, 1 / 10  # of the groups; the first split of UCF-101 tests on 7 out of 25
FEWEST = 3  # groups a class, so that each split has one


def matches(path: Path) -> bool:
    """Is it a folder with folders of clips that are named so?"""
    return path.is_dir() and next(_clips(path).glob(PATTERN), None) is not None


def read(path: Path) -> Dataset:
    """The first official split where its lists are; else the first groups of each class are for testing. The last
    groups of what is for training validate: no group is in two splits.

    Raises ValueError if a listed clip is missing, or if a class has too few groups.
    """
    lists = next((place / LISTS for place in (path, path.parent) if (place / LISTS).is_dir()), None)
    if lists is None:
        clips = sorted(_clips(path).glob(PATTERN))
        labels = tuple(sorted({clip.parent.name for clip in clips}))
        train, test = _by_group(clips, TEST_SHARE, first=True)
    else:
        labels = tuple(line.split()[1] for line in _lines(lists / "classInd.txt"))
        train, test = (_listed(lists / name, _clips(path)) for name in ("trainlist01.txt", "testlist01.txt"))
    train, validation = _by_group(train, VALIDATION_SHARE, first=False)
    return Dataset(_split(train, labels), _split(validation, labels), _split(test, labels), labels=labels)


def group(clip: Path) -> int:
    """The number of the scene that the clip was cut from."""
    found = GROUP.search(clip.name)
    if found is None:
        raise ValueError(f"{clip}: no group in its name, such as _g01_c01.avi")
    return int(found[1])


def _clips(path: Path) -> Path:
    return path / CLIPS if (path / CLIPS).is_dir() else path


def _lines(file: Path) -> list[str]:
    return [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]


def _listed(file: Path, clips: Path) -> list[Path]:
    """The lines are <class>/<clip>, in trainlist01.txt with the number of the class behind it."""
    paths = [clips / line.split()[0] for line in _lines(file)]
    if missing := [clip.name for clip in paths if not clip.is_file()]:
        raise ValueError(f"{file} lists {len(missing)} clips that are not there, such as {missing[0]}")
    return paths


def _by_group(clips: Sequence[Path], share: float, first: bool) -> tuple[list[Path], list[Path]]:
    """(the rest, those taken): in each class `share` of the groups, at least one, from the first or the last on."""
    groups: dict[str, set[int]] = {}
    for clip in clips:
        groups.setdefault(clip.parent.name, set()).add(group(clip))
    taken: dict[str, set[int]] = {}
    for label, numbers in groups.items():
        if len(numbers) < FEWEST - (not first):
            raise ValueError(f"{label} has {len(numbers)} groups of clips, too few for three splits")
        in_order = sorted(numbers, reverse=not first)
        taken[label] = set(in_order[: max(1, round(share * len(numbers)))])
    picked = [group(clip) in taken[clip.parent.name] for clip in clips]
    return (
        [clip for clip, taken_away in zip(clips, picked, strict=True) if not taken_away],
        [clip for clip, taken_away in zip(clips, picked, strict=True) if taken_away],
    )


def _split(clips: Sequence[Path], labels: Sequence[str]) -> Split:
    return Split(Files(clips), [labels.index(clip.parent.name) for clip in clips])
