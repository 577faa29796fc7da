"""The card of a model: everything about it but its network, as CARD at the end of every file in models/."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:  # torch takes seconds to import, and the command line needs names only
    from torch import nn

# Metrics for which lower is better; for all others higher is.
LOWER_IS_BETTER = frozenset(
    {
        "rmse",
        "mae",
        "holdout_rmse",
        "holdout_mae",
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
# Metrics in the units of the target, which are no shares.
IN_UNITS = frozenset({"rmse", "mae", "holdout_rmse", "holdout_mae"})
INT8_RUNTIMES = ("eager", "onnxruntime")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Hyperparameters of training.

    `schedule` sets the learning rate over the whole run; `augment` names training-time transforms in the order in
    which they are applied; `patience` is early stopping: that many epochs without a better validation loss end the run.
    For texts, `teacher` is the share of each target that the teacher model predicts, the rest being the label
    (marina/training/tasks/text_classification/teacher.py). With `precision` bf16 (autocast; the weights stay fp32)
    hardware without bfloat16 trains in fp32. With zero epochs the weights stay those of `pretrained`.

    `pretrained` names weights of marina/training/pretrained/: the network's `features` start with them, are frozen for
    `frozen_epochs`, and then learn at `backbone_lr` times `lr`, except the first `kept_layers`, which stay frozen:
    their maps are the largest, and edges look the same in all images.

    `step` multiplies the learning rate by `gamma` every `schedule_epochs` (a third of the run where it is None),
    `plateau` whenever the validation loss has not improved for more than `schedule_epochs` (3 where it is None).
    `clip_norm` bounds the norm of the gradient. `checkpoint` is the SHA-256 of the user's file that the network starts
    with (`--pretrained PATH`); a CARD has none.
    """

    epochs: int
    batch_size: int
    lr: float
    optimizer: Literal["sgd", "adam", "adamw"] = "adamw"
    schedule: Literal["constant", "cosine", "one_cycle", "step", "plateau"] = "one_cycle"
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
    gamma: float = 0.1
    schedule_epochs: int | None = None
    clip_norm: float | None = None
    checkpoint: str | None = None


@dataclass(frozen=True, kw_only=True)
class Serving:
    """Options of the archive on TorchServe; `marina/packaging/build.py` writes most into model-config.yaml.

    `max_batch_delay` is in milliseconds, the timeouts in seconds. With a delay of 1 TorchServe takes the requests that
    queued up while the worker was busy; 0 would mean its default of 100. `threads` limits torch's threads in each
    worker, which otherwise uses every core. `explain_steps` limits the cost of one explanation. `continuous_batching`
    is for handlers with streamed responses (handlers/streaming.py): the timeout is then that of one step, or of the
    time without a response.

    `precision` int8 is a program of onnxruntime, also where `runtime` is eager; other runtimes raise ValueError.
    """

    batch_size: int = 8
    max_batch_delay: int = 1
    workers: int | Literal["cores"] = 1
    threads: int = 1
    channels_last: bool = False
    precision: Literal["fp32", "bf16", "int8"] = "fp32"
    runtime: Literal["eager", "compile", "onnxruntime", "openvino"] = "eager"
    response_timeout: int = 30
    startup_timeout: int = 120
    explain_steps: int = 32
    continuous_batching: bool = False

    def __post_init__(self) -> None:
        if self.precision == "int8" and self.runtime not in INT8_RUNTIMES:
            raise ValueError(f'precision="int8" needs runtime="onnxruntime", not {self.runtime!r}')


@dataclass(frozen=True, kw_only=True)
class Card:
    """Everything about a model but its network.

    `network` is built as `network(**arguments)`; the arguments depend on the data (number of classes, columns, words)
    and are recorded in card.json. `input` holds the arguments of the task's codec. `data` names the default data set
    of marina/training/data/. `floor` holds the metrics below which `make archive` rejects the model; it holds for the
    embedded stand-in of `data` and for no other data. `starter` adds the model to those of plain `make archive` and
    `make serve`. `not_exported` is the reason why a network has no export; where it is empty, it is exported to every
    format of marina/packaging/export.py. `warm_start` names the models whose weights (version 1.0) this training begins
    with: they are trained first. `training_seconds` is the time that training took on two cores with bfloat16. Models
    are trained longest first; this is the estimate until the model has been trained on this machine.

    The CARD of an imported model (`marina import`) has no `recipe`: its weights come from elsewhere, and can't be
    trained here. `data`, `floor` and `anchor` belong to training, and are empty then.
    """

    name: str
    task: str
    network: "Callable[..., nn.Module]"
    source: str
    data: str = ""
    recipe: Recipe | None = None
    floor: Mapping[str, float] = field(default_factory=dict)
    anchor: str = ""
    input: Mapping[str, Any] = field(default_factory=dict)
    serving: Serving = Serving()
    starter: bool = False
    not_exported: str = ""
    warm_start: tuple[str, ...] = ()
    training_seconds: float = 0.0

    def floor_on(self, data: Mapping[str, Any]) -> Mapping[str, float]:
        """Return the floor on a data set, by its name and kind in card.json: empty but on the embedded stand-in that
        the floor was measured on.
        """
        return self.floor if (data.get("name"), data.get("kind")) == (self.data, "embedded") else {}

    def below_floor(self, metrics: Mapping[str, float]) -> list[str]:
        """Return a line for each floor that `metrics` does not reach; an empty list is a pass."""
        return [
            f"{name} is {metrics.get(name)}, its floor is {bound}"
            for name, bound in self.floor.items()
            if name not in metrics
            or not (metrics[name] <= bound if name in LOWER_IS_BETTER else metrics[name] >= bound)
        ]
