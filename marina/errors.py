"""The errors that Marina raises for its users, in one hierarchy::

    MarinaError
    ├── PackagingError              an archive can't be built, or a network not exported
    ├── ModelImportError            weights from elsewhere can't be imported
    ├── ScaffoldError               the files of `marina new` can't be written
    ├── NoRecipeError               an imported model can't be trained here
    ├── WeightsExistError           weights of that version were made from other data, or in another way
    ├── CodeConflictError           an archive's code is not the code that the process has imported
    ├── EvaluationError             a request of the test split failed
    ├── TorchServeError             TorchServe refused a request of ours
    ├── AccessKeyError              an access key can't be created, or its registry does not respond
    ├── ExposureError               the public port would be open to the network without keys or TLS
    └── ExperimentError             the description of an experiment is not valid
        ├── UnknownExperimentError  no such experiment runs
        ├── VariantNotReadyError    a version that an experiment names can't respond
        ├── ConflictError           another change came first
        ├── NothingToRollBackError  the experiment has no earlier state
        ├── DatabaseReplacedError   the database lacks experiments that this node has routed by
        └── NotAppliedError         the change is stored, but Envoy does not run on it yet

A message gives what happened, why, and what to do. The command line prints it without a traceback and exits with 1;
the API responds with the status in marina/api/exception_handlers.py. Two errors stand outside, because their modules
work without Marina: `handlers.errors.BadRequest` and `marina.packaging.verify.NotVerifiedError`.
"""


class MarinaError(Exception):
    """An error that the user can correct."""


class PackagingError(MarinaError):
    """The model must not be packed or exported."""


class ModelImportError(MarinaError):
    """Weights, network or name don't allow the import; nothing was written."""


class ScaffoldError(MarinaError):
    """A name is taken or not valid, or there is no checkout; nothing was written."""


class NoRecipeError(MarinaError):
    """The model was imported: its CARD has no recipe to train by."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} can't be trained here: it was imported, and its CARD has no recipe. `marina import {name}` with "
            f"another --version adds weights; to train it, add `recipe`, `data` and `floor` to models/{name}.py."
        )


class WeightsExistError(MarinaError):
    """Weights of this version exist and were made differently; they are replaced only on request."""


class CodeConflictError(MarinaError):
    """An archive's code differs from the code of the same name that this process has imported."""


class EvaluationError(MarinaError):
    """The handler returned an error for a request of the test split."""


class TorchServeError(MarinaError):
    """TorchServe refused a request; the message is its own, `status` the HTTP status of its response."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class AccessKeyError(MarinaError):
    """A scope, name or duration of an access key is not valid, or the registry of keys does not respond."""


class ExposureError(MarinaError):
    """The public port would be open to the network without keys or without TLS."""


class ExperimentError(MarinaError):
    """The description of an experiment is not valid."""


class UnknownExperimentError(ExperimentError):
    """No experiment of that name runs."""


class VariantNotReadyError(ExperimentError):
    """A version that an experiment would send requests to can't respond."""


class ConflictError(ExperimentError):
    """Another change of the experiment, here or on another node, came first."""


class NothingToRollBackError(ExperimentError):
    """There is no earlier state of the experiment to restore."""


class DatabaseReplacedError(ExperimentError):
    """The database was emptied, or is another one: it lacks experiments that this node has routed by."""


class NotAppliedError(ExperimentError):
    """The change is stored, but Envoy does not route by it yet."""
