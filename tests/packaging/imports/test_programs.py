"""Programs of TorchScript, torch.export and ONNX: served as their own library runs them; one line for other files."""

import io
import zipfile

import onnx
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from handlers.codecs.image import ImageCodec
from handlers.runtime.ablation import feature_ablation
from marina.errors import ModelImportError
from marina.hosting.host import HostedRequest
from marina.packaging.imports import model_file, program
from marina.packaging.imports.imported_model import ImportOptions
from models.parts.program import Program
from tests.support.exported_files import exported
from tests.support.samples import picture

CODEC = ImageCodec(size=16, channels=3, mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))


class Net(nn.Module):
    """A small residual network; `head` is applied to its logits."""

    def __init__(self, head=lambda logits: logits) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.block, self.fc = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, padding=1), nn.Linear(4, 5)
        self.head = head

    def forward(self, x):
        x = self.stem(x).relu()
        return self.head(self.fc((x + self.block(x)).amax(dim=(2, 3))))


def written(file, network, batch=2, dynamic=True):
    network, images = network.eval(), torch.zeros(batch, 3, 16, 16)
    if file.suffix == ".onnx":
        axes = {"input": {0: "n"}} if dynamic else None
        torch.onnx.export(network, (images,), str(file), input_names=["input"], dynamic_axes=axes, dynamo=False)
    elif file.suffix == ".pt2":
        exported(file, network, images, dynamic)
    else:
        torch.jit.trace(network, images).save(str(file))
    return file


def fit(file, labels=None, codec=CODEC):
    return program.fit(program.read(file), codec, labels, "labels.txt")


@pytest.mark.parametrize("suffix", [".onnx", ".pt", ".bin", ".pt2"])
def test_a_program_answers_as_its_network_in_every_batch_after_it_was_saved(tmp_path, suffix):
    fitted = fit(written(tmp_path / f"net{suffix}", Net()))
    save_file(fitted.network.state_dict(), tmp_path / "model.safetensors")
    again = Program(**fitted.arguments).eval()
    again.load_state_dict(load_file(tmp_path / "model.safetensors"))
    for size in (1, 3):
        images = torch.randn(size, 3, 16, 16)
        assert torch.allclose(again(images), Net()(images), atol=1e-5)
    assert fitted.arguments["kind"] == {".onnx": "onnx", ".pt2": "torch_export"}.get(suffix, "torchscript")
    assert "batch" not in fitted.arguments


@pytest.mark.parametrize(("suffix", "title"), [("onnx", "ONNX"), ("pt2", "torch.export")])
def test_a_batch_size_that_is_fixed_is_kept_and_the_answers_stay(tmp_path, suffix, title):
    fitted = fit(written(tmp_path / f"one.{suffix}", Net(), batch=1, dynamic=False))
    assert (fitted.arguments["batch"], fitted.head) == (1, f"{title}, images one by one")
    images = torch.randn(3, 3, 16, 16)
    assert torch.allclose(fitted.network(images), Net()(images), atol=1e-5)


def test_the_first_output_of_classes_is_taken_and_a_softmax_is_undone(tmp_path):
    several = Net(lambda logits: (logits.sum(), logits.softmax(dim=1)))
    fitted = fit(written(tmp_path / "several.pt", several))
    assert fitted.head == "TorchScript, output 1 of 2, ends in a softmax"
    images = torch.randn(3, 3, 16, 16)
    assert torch.allclose(fitted.network(images).softmax(dim=1), Net()(images).softmax(dim=1), atol=1e-6)


def external(file):
    model = onnx.load(str(written(file, Net())))
    tensor = model.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")
    file.write_bytes(model.SerializeToString())


def custom(file):
    model = onnx.load(str(written(file, Net())))
    model.graph.node[0].op_type = "Unheard"
    file.write_bytes(model.SerializeToString())


def half(file):
    model = onnx.load(str(written(file, Net())))
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    file.write_bytes(model.SerializeToString())


def cut(file):
    file.write_bytes(written(file, Net()).read_bytes()[:1500])


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("a.onnx", external, "tensors in other files.*merge them"),
        ("a.onnx", custom, "fails on an image of 3 x 16 x 16: .*Unheard"),
        ("a.onnx", half, "takes FLOAT16; export it with float32"),
        ("a.onnx", cut, "truncated"),
        ("a.pt", cut, "truncated"),
        ("a.pt", lambda file: torch.save(Net().state_dict(), file), "no program; for weights alone, --network"),
        ("a.pt2", cut, "truncated"),
        ("a.bin", lambda file: file.write_bytes(b""), "no TorchScript, torch.export or ONNX"),
        ("a.pt", lambda file: written(file, Net(lambda y: y[0])), "returns 5 for an image"),
        ("a.pt", lambda file: written(file, Net(lambda y: y / 0)), "not finite"),
        (
            "a.pt2",
            lambda file: written(file, Net(lambda y: y * torch.rand(1))),
            "returns other values for the same image",
        ),
        ("a.pt", lambda file: None, "no file"),
    ],
)
def test_another_file_is_one_clear_line(tmp_path, name, write, message):
    write(tmp_path / name)
    with pytest.raises(ModelImportError, match=rf"\A(?=[^\n]*\Z).*{message}"):
        fit(tmp_path / name)


def test_labels_and_images_must_fit(tmp_path):
    file = written(tmp_path / "net.onnx", Net())
    with pytest.raises(ModelImportError, match=r"5 classes, labels.txt has 2 labels"):
        fit(file, ["a", "b"])
    with pytest.raises(ModelImportError, match="fails on an image of 1 x 16 x 16"):
        fit(file, codec=ImageCodec(size=16, channels=1, mean=(0.5,), std=(0.2,)))


def test_no_code_of_a_disguised_archive_runs(tmp_path):
    content, proof = io.BytesIO(), tmp_path / "proof"
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("a/constants.pkl", f"cos\nsystem\n(S'touch {proof}'\ntR.")
        archive.writestr("a/data.pkl", f"cos\nsystem\n(S'touch {proof}'\ntR.")
        archive.writestr("a/code/x.py", "")
    (tmp_path / "a.pt").write_bytes(content.getvalue())
    with pytest.raises(ModelImportError, match=r"\A[^\n]*\Z"):
        fit(tmp_path / "a.pt")
    assert not proof.exists()


def test_an_explanation_finds_the_pixels_that_decide():
    image = torch.zeros(1, 3, 16, 16)
    image[:, :, 4:8, 8:12] = 1.0
    found, delta = feature_ablation(
        lambda x: x.sum(dim=(1, 2, 3))[:, None], image, torch.zeros_like(image), steps=8, batch_size=4, target=0
    )
    assert found[0].sum(dim=0)[5, 9] == 48
    assert found[0].sum(dim=0)[0, 0] == 0
    assert delta == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize(("name", "batch"), [("net.pt", None), ("one.onnx", 1), ("net.pt2", None), ("one.pt2", 1)])
def test_responses_are_the_networks_and_explanations_say_their_method(tmp_path, opened, name, batch):
    file = written(tmp_path / name, Net(), **({"batch": 1, "dynamic": False} if batch else {}))
    images = {"size": 16, "channels": 3, "mean": (0.5, 0.5, 0.5), "std": (0.2, 0.2, 0.2)}
    model = program.imported(ImportOptions(file, images=images))
    host = opened("image_classification", model)
    body = picture(size=(16, 16))
    requests = [HostedRequest.of_body(body, "image/png", {}, explain) for explain in (False, False, True)]
    (_, predicted), (explained,) = host.batch(requests[:2]), host.batch(requests[2:])
    with torch.inference_mode():
        expected = Net().eval()(model.codec.normalize(model.codec.pixels(body)[None]))[0].softmax(dim=0).tolist()
    found = {each["label"]: each["probability"] for each in predicted.json["predictions"]}
    assert [found[str(number)] for number in range(5)] == pytest.approx(expected, abs=1e-5)
    assert explained.json["method"] == "feature_ablation"
    assert explained.json["target"] == predicted.json["predictions"][0]


def test_the_models_file_says_why_it_is_not_exported(tmp_path):
    images = {"size": 16, "channels": 3, "mean": (0.5, 0.5, 0.5), "std": (0.2, 0.2, 0.2)}
    options = ImportOptions(written(tmp_path / "net.onnx", Net()), images=images)
    text = model_file.text("mine", "image_classification", program.imported(options))
    assert "    network=Program,\n" in text
    assert 'not_exported="it is a program already' in text
    compile(text, "mine.py", "exec")
