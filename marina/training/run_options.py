"""Options of a training run: those that are given, and for all others those that this version began with.

A version that exists, and a stopped run of one that does not, keep their data, preset, share of the labels, overrides,
checkpoint and target. Another version has the data of the newest one, and otherwise the CARD's own.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from hashlib import file_digest
from pathlib import Path
from typing import Any

from marina import overrides
from marina.errors import MarinaError
from marina.overrides import OVERRIDES, RESET
from marina.training import artifacts, changes
from marina.training.changes import Preset
from models.card import Card

CHECKPOINT = "checkpoint"  # the member of card.json: path and sha256 of the user's file, and what of it was loaded
DIGEST = "recipe.checkpoint"  # of the file, among the overrides
NOTHING = "none"  # instead of a path: no checkpoint


@dataclass(frozen=True)
class RunOptions:
    """Options of a run; None is what nobody has given. `checkpoint` is the path of the user's file, `target` the column
    of a table to predict.
    """

    data: str | None = None
    preset: Preset | None = None
    labels: float | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    checkpoint: str | None = None
    target: str | None = None

    def over(self, earlier: "RunOptions") -> "RunOptions":
        """Return these options; what is not given is as in an earlier run."""
        own = overrides.merged(earlier.overrides, self.overrides)
        return RunOptions(
            self.data or earlier.data,
            self.preset or earlier.preset,
            earlier.labels if self.labels is None else self.labels,
            own,
            (self.checkpoint or earlier.checkpoint) if DIGEST in own else None,
            earlier.target if self.target is None else self.target,
        )

    def text(self) -> str:
        """Return what differs from a plain run in words: "data mine, recipe.lr=0.001"; empty if nothing does."""
        words = [f"data {Path(self.data).name}"] if self.data else []
        words += [f"target {self.target}"] if self.target else []
        words += [f"preset {self.preset}"] if self.preset not in (None, "full") else []
        words += [f"{self.labels} of the labels"] if self.labels not in (None, 1) else []
        return ", ".join([*words, *described(self.overrides, self.checkpoint)])

    @property
    def as_json(self) -> dict[str, Any]:
        """The options as the scratch folder of a run keeps them."""
        return asdict(replace(self, overrides=dict(self.overrides)))


def given(
    data: str | None,
    preset: Preset | None,
    labels: float | None,
    own: Mapping[str, Any],
    pretrained: str | None,
    target: str | None = None,
) -> RunOptions:
    """Return the options of a command; raises MarinaError if there is no file `pretrained`, or for a quick run of
    several epochs.
    """
    if preset == "quick" and own.get("recipe.epochs") not in (None, RESET, 0, 1):
        raise MarinaError(
            f"a quick run is one epoch, not {own['recipe.epochs']}: leave out PRESET=quick, or the epochs"
        )
    if pretrained == NOTHING:
        return RunOptions(data, preset, labels, {**own, DIGEST: RESET}, target=target)
    if not pretrained:
        return RunOptions(data, preset, labels, own, target=target)
    file = Path(pretrained).resolve()
    if not file.is_file():
        raise MarinaError(f"--pretrained {pretrained}: no such file; it takes a .safetensors file or a checkpoint")
    return RunOptions(data, preset, labels, {**own, DIGEST: sha256_of(file)}, str(file), target)


def settled(card: Card, version: str, done: dict[str, Any] | None, own: RunOptions) -> tuple[RunOptions, str]:
    """Return the options of a run of this version, and a line about what was not given and is not the CARD's.

    `done` is card.json of finished weights. The line is empty for these: their options are compared.
    """
    if done is not None:
        return own.over(of_card(done)), ""
    stopped = artifacts.stopped(artifacts.scratch_of(card.name, version))
    if stopped is not None:
        earlier = RunOptions(**stopped)
        if own.data not in (None, earlier.data) and str(Path(own.data or "").resolve()) != earlier.data:
            return own, ""  # another run
        kept = own.over(earlier)
        return kept, f"as its stopped run: {kept.text()}" if kept != own and kept.text() else ""
    newest = newest_card(card.name)
    if own.data or newest is None or changes.data_of(newest) == card.data:
        return own, ""
    line = f"data {newest['data']['name']}, as {newest['version']}; DATA={card.data} is the CARD's own"
    if more := ", ".join(described(newest.get(OVERRIDES, {}), newest.get(CHECKPOINT, {}).get("path"))):
        line += f". Its options are for {newest['version']} alone: {more}"
    target = changes.target_of(newest) if own.target is None else own.target
    return replace(own, data=changes.data_of(newest), target=target), line


def of_card(done: Mapping[str, Any]) -> RunOptions:
    """Return the options that finished weights were trained with."""
    facts = dict(done)
    path = facts.get(CHECKPOINT, {}).get("path")
    labels, own = changes.share_of(facts), facts.get(OVERRIDES, {})
    return RunOptions(changes.data_of(facts), facts["preset"], labels, own, path, changes.target_of(facts))


def newest_card(name: str) -> dict[str, Any] | None:
    """Return card.json of the version that was trained last; None if there is none."""
    cards = (artifacts.finished(file.parent) for file in (artifacts.ARTIFACTS / name).glob(f"*/{artifacts.CARD}"))
    trained = [card for card in cards if card and "trained_at" in card and "data" in card]
    return max(trained, key=lambda card: str(card["trained_at"]), default=None)


def described(own: Mapping[str, Any], checkpoint: str | None) -> list[str]:
    """Return overrides and checkpoint in words; the digest of the file is not for reading."""
    text = overrides.text_of({name: value for name, value in own.items() if name != DIGEST})
    return [*([text] if text else []), *([f"pretrained {Path(checkpoint).name}"] if checkpoint else [])]


def checkpoint_of(options: RunOptions, title: str) -> Path | None:
    """Return the user's file; raises MarinaError if it is not there any more, or has changed."""
    if options.checkpoint is None:
        return None
    file = Path(options.checkpoint)
    if not file.is_file() or sha256_of(file) != options.overrides[DIGEST]:
        problem = "has changed" if file.is_file() else "is no longer there"
        raise MarinaError(
            f"{title}: the checkpoint {file} {problem}; give its path: PRETRAINED= (--pretrained), or {NOTHING}"
        )
    return file


def sha256_of(file: Path) -> str:
    """Return the SHA-256 of a file's content."""
    with file.open("rb") as opened:
        return file_digest(opened, "sha256").hexdigest()
