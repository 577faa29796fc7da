"""Programs from elsewhere (TorchScript, torch.export, ONNX): identified by content, checked, and tried.

None of their Python runs.
"""

import zipfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from handlers.codecs.image import ImageCodec
from marina.errors import ModelImportError
from marina.packaging.imports import exported_program
from marina.packaging.imports.checkpoint import Checkpoint
from marina.packaging.imports.classifier import TASK, ImportedClassifier, model_of, read_labels
from marina.packaging.imports.imported_model import ImportedModel, ImportOptions
from marina.packaging.imports.matching import shape
from marina.packaging.imports.network import NetworkSource
from models.parts.program import Program

NOT_EXPORTED = "it is a program already, and is served as it was imported"
SAME = 1e-3  # of the outputs' range: rows of a batch against rows alone
TITLES = {"torchscript": "TorchScript", "torch_export": "torch.export", "onnx": "ONNX"}


@dataclass(frozen=True)
class ProgramFile:
    """A program's file and its hash, the content that is served, and its kind: a key of TITLES.

    `batch` is the batch size that the program is fixed at, if the file records it.
    """

    file: Path
    sha256: str
    content: bytes
    kind: str
    batch: int | None = None

    @property
    def checkpoint(self) -> Checkpoint:
        """The program as the one tensor of a checkpoint."""
        tensor = torch.frombuffer(bytearray(self.content), dtype=torch.uint8)
        return Checkpoint(self.file, self.sha256, {"program": tensor})

    @property
    def source(self) -> NetworkSource:
        """The network of models/NAME.py."""
        title = TITLES[self.kind]
        code = f'"""{title} program, imported; its runtime runs it."""\n\nfrom models.parts.program import Program\n'
        return NetworkSource(f"{title} program", code, "Program", Program)


def imported(options: ImportOptions) -> ImportedModel:
    """Return the program as a classifier; raises ModelImportError if program, labels and images don't fit together."""
    if options.images is None:
        raise ModelImportError(f"--task {TASK} needs --size, --mean and --std, as in training")
    if options.arguments:
        name = next(iter(options.arguments))
        raise ModelImportError(f"--argument {name}: a program takes none; leave it out, or name the --network")
    program, codec = read(options.weights), ImageCodec(**options.images)
    names = read_labels(options.labels) if options.labels else None
    fitted = fit(program, codec, names, str(options.labels))
    return model_of(program.source, program.checkpoint, codec, fitted, options, NOT_EXPORTED)


def read(file: Path) -> ProgramFile:
    """Read a program. Raises ModelImportError for what is none, is damaged, or could run code."""
    if not file.is_file():
        raise ModelImportError(
            f"no file {file}: without --network, --weights takes a {', '.join(TITLES.values())} program"
        )
    content = file.read_bytes()
    kind = _kind(file, content)
    served, batch = exported_program.read(file) if kind == "torch_export" else (content, None)
    return ProgramFile(file, sha256(content).hexdigest(), served, kind, batch)


def _kind(file: Path, content: bytes) -> str:
    if content[:2] != b"PK":
        _check_onnx(file, content)
        return "onnx"
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as exc:  # the last two are of damaged names
        raise ModelImportError(f"{file} is truncated, or damaged: {exc}") from exc
    if any(name.endswith("/constants.pkl") for name in names) and any("/code/" in name for name in names):
        return "torchscript"
    if exported_program.is_exported(names):
        return "torch_export"
    raise ModelImportError(f"{file} holds no program; for weights alone, --network names the network")


def _check_onnx(file: Path, content: bytes) -> None:
    try:
        import onnx
        from onnx.external_data_helper import _get_all_tensors, uses_external_data
    except ImportError as exc:
        raise ModelImportError(f"{file}: ONNX needs onnx and onnxruntime: pip install 'marina[export]'") from exc
    try:
        model = onnx.load_model_from_string(content)
    except Exception as exc:  # protobuf's DecodeError, whichever implementation
        raise ModelImportError(
            f"{file} is truncated, or no TorchScript, torch.export or ONNX; weights need --network"
        ) from exc
    if not model.graph.node:
        raise ModelImportError(f"{file} is truncated, or no TorchScript, torch.export or ONNX; weights need --network")
    if any(uses_external_data(tensor) for tensor in _get_all_tensors(model)):
        raise ModelImportError(
            f"{file} keeps tensors in other files, which are not read: merge them with "
            f'onnx.save(onnx.load("{file.name}"), "merged.onnx")'
        )
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [each for each in model.graph.input if each.name not in weights]
    if len(inputs) != 1:
        raise ModelImportError(f"{file} has {len(inputs)} inputs; image_classification has one, the images")
    if (kind := inputs[0].type.tensor_type.elem_type) != onnx.TensorProto.FLOAT:
        raise ModelImportError(f"{file} takes {onnx.TensorProto.DataType.Name(kind)}; export it with float32 inputs")


def fit(program: ProgramFile, codec: ImageCodec, labels: list[str] | None, labels_title: str) -> ImportedClassifier:
    """Return the program as a classifier, after trying it in batches of two and of one.

    Raises ModelImportError if it fails on the codec's images, or its classes are not those of `labels`.
    """
    arguments: dict[str, Any] = {"kind": program.kind, "length": len(program.content)}
    network = Program(**arguments).eval()
    network.load_state_dict(dict(program.checkpoint.tensors))
    images = _images(codec)
    single = _single(program, network, images[:1])
    found = [n for n, one in enumerate(single) if isinstance(one, Tensor) and one.dim() == 2 and len(one) == 1]
    if not found:
        shapes = ", ".join(shape(one) if isinstance(one, Tensor) else type(one).__name__ for one in single)
        raise ModelImportError(f"{program.file} returns {shapes} for an image; image_classification needs 1 x classes")
    arguments["output"] = found[0]
    alone = single[found[0]].float()
    if not alone.isfinite().all():
        raise ModelImportError(f"{program.file}: the program's output is not finite")
    if not _same(alone, _single(program, network, images[:1])[found[0]].float()):
        raise ModelImportError(f"{program.file} returns other values for the same image: save it after network.eval()")
    if program.batch or not _takes_two(network, images, found[0], alone):
        arguments["batch"] = program.batch or 1
    if alone.min() >= 0 and abs(float(alone.sum()) - 1) < SAME:
        arguments["probabilities"] = True
    classes = alone.shape[1]
    if labels is not None and len(labels) != classes:
        raise ModelImportError(f"the program has {classes} classes, {labels_title} has {len(labels)} labels")
    served = Program(**arguments).eval()
    served.load_state_dict(network.state_dict())
    notes = [f"output {found[0]} of {len(single)}"] if len(single) > 1 else []
    if "batch" in arguments:
        notes.append("images one by one" if arguments["batch"] == 1 else f"batches of {arguments['batch']}")
    notes += ["ends in a softmax"] if "probabilities" in arguments else []
    head = ", ".join([TITLES[program.kind], *notes])
    return ImportedClassifier(served, arguments, labels or [str(n) for n in range(classes)], "", head)


def _images(codec: ImageCodec) -> Tensor:
    """Return two images that differ."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (2, codec.channels, codec.size, codec.size), dtype=torch.uint8, generator=generator)
    return codec.normalize(pixels)


def _single(program: ProgramFile, network: Program, image: Tensor) -> list[Any]:
    """Return the outputs for one image, with which a batch of a fixed size is filled."""
    size = program.batch or 1
    outputs = _outputs(program, network, image.expand(size, *image.shape[1:]))
    return [one[:1] if isinstance(one, Tensor) and one.dim() and len(one) == size else one for one in outputs]


def _outputs(program: ProgramFile, network: Program, images: Tensor) -> list[Any]:
    try:
        return list(network.outputs(images))
    except Exception as exc:  # of the program's own runtime
        lines = [line.strip() for line in str(exc).splitlines() if line.strip()] or [type(exc).__name__]
        raise ModelImportError(f"{program.file} fails on an image of {shape(images[0])}: {lines[-1][:300]}") from exc


def _takes_two(network: Program, images: Tensor, output: int, alone: Tensor) -> bool:
    """Return whether a batch of two gives two rows, of which the first is that of the image alone."""
    try:
        both = network.outputs(images)[output].float()
    except Exception:  # of the program's own runtime: its batch size is fixed
        return False
    return len(both) == 2 and _same(alone, both[:1])


def _same(one: Tensor, other: Tensor) -> bool:
    """Return whether two outputs differ only by rounding."""
    return float((one - other).abs().max()) <= SAME * (float(one.abs().max()) + 1e-6)
