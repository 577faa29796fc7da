"""What a model says of itself: the CARD at the end of every file in models/."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import nn

# Metrics of which less is better; all others are better when larger.
LOWER_IS_BETTER = frozenset(
    {
        "rmse",
        "mae",
        "perplexity",
        "character_error_rate",
        "character_error_rate_latin",
        "character_error_rate_chinese",
        "equal_error_rate",
        "gallery_equal_error_rate",
        "content_error",
        "cycle_l1",
        "identity_l1",
    }
)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How the network gets its weights.

    `schedule` moves the learning rate over the whole run; `augment` names training-time transforms in the order
    they are applied; `patience` is early stopping: that many epochs without a better validation loss end the run.
    Of texts, `teacher` is the share of each target that training/teacher.py has in place of the label.
    With `precision` bf16 (autocast; the weights stay fp32) hardware that lacks it trains in fp32. With no epochs the
    weights stay those of `pretrained`.

    `pretrained` names a file of training/pretrained/: the network's `features` start there, are left alone for
    `frozen_epochs`, and then learn at `backbone_lr` times `lr`, but for the first `kept_layers`, which never do: their
    maps are the largest, and edges are edges.
    """

    epochs: int
    batch_size: int
    lr: float
    optimizer: Literal["sgd", "adam", "adamw"] = "adamw"
    schedule: Literal["constant", "cosine", "one_cycle"] = "one_cycle"
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    augment: tuple[str, ...] = ()
    teacher: float = 0.0
    patience: int | None = None
    seed: int = 0
    precision: Literal["fp32", "bf16"] = "fp32"
    pretrained: str | None = None
    frozen_epochs: int = 0
    backbone_lr: float = 1.0
    kept_layers: int = 0


@dataclass(frozen=True, kw_only=True)
class Serving:
    """How the archive runs on TorchServe; `archive/build.py` writes most of it into model-config.yaml.

    `max_batch_delay` is in milliseconds, the timeouts in seconds. A delay of 1 makes TorchServe take whatever queued
    up while the worker was busy; 0 would mean its default of 100. `threads` caps torch's threads in each worker, for
    it takes every core otherwise. `explain_steps` bounds what one explanation may cost. `continuous_batching` is for
    handlers whose answers come in steps (handlers/streaming.py): the timeout is then that of a step, or of a silence.
    """

    batch_size: int = 8
    max_batch_delay: int = 1
    workers: int | Literal["cores"] = 1
    threads: int = 1
    channels_last: bool = False
    precision: Literal["fp32", "bf16"] = "fp32"
    runtime: Literal["eager", "compile", "onnxruntime", "openvino"] = "eager"
    response_timeout: int = 30
    startup_timeout: int = 120
    explain_steps: int = 32
    continuous_batching: bool = False


@dataclass(frozen=True, kw_only=True)
class Card:
    """Everything about a model that is not its network.

    `network` is built as `network(**arguments)`, the arguments being what the data decides (the number of classes,
    of columns, of words); they are kept in card.json. `input` holds the arguments of the task's codec. `data` names
    a file of training/data/. `floor` holds the metrics without which `make archive` refuses the model; `starter`
    puts it among those that plain `make archive` and `make serve` handle. `not_exported` says why a network stays in
    PyTorch; where it is empty, it leaves in every format of archive/export.py.
    """

    name: str
    task: str
    network: type[nn.Module]
    data: str
    recipe: Recipe
    floor: Mapping[str, float]
    anchor: str
    source: str
    input: Mapping[str, Any] = field(default_factory=dict)
    serving: Serving = Serving()
    starter: bool = False
    not_exported: str = ""

    def below_floor(self, metrics: Mapping[str, float]) -> list[str]:
        """One line for each floor that `metrics` does not reach; an empty list is a pass."""
        return [
            f"{name} is {metrics.get(name)}, its floor is {bound}"
            for name, bound in self.floor.items()
            if name not in metrics
            or not (metrics[name] <= bound if name in LOWER_IS_BETTER else metrics[name] >= bound)
        ]
