"""Parts of a Hugging Face folder: what of config.json is kept, what is reported, and how long texts may be."""

import json
import os
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file

from marina.errors import ModelImportError
from marina.packaging.imports import hugging_face, tokenizer
from marina.packaging.imports.imported_model import ImportOptions
from models.parts.sequence_classifier import SequenceClassifier

transformers = pytest.importorskip("transformers", reason="transformers is not installed: the extra huggingface")

from tests.packaging.imports.test_hugging_face import NAMES, SIZES, WORDS, bert  # noqa: E402 - needs transformers

HEAD = "classifier.weight"


def refusal(folder: Path, **options) -> str:
    with pytest.raises(ModelImportError) as refused:
        hugging_face.imported(ImportOptions(folder, **options))
    return str(refused.value)


def test_a_folder_is_reported_with_its_origin(tmp_path):
    folder, labels = bert(tmp_path / "folder"), tmp_path / "labels.txt"
    model = hugging_face.imported(ImportOptions(folder))
    weights = folder / "model.safetensors"
    digest = sha256(weights.read_bytes()).hexdigest()
    state = load_file(weights)
    values = sum(tensor.numel() for tensor in state.values())
    assert list(model.found) == [
        f"model.safetensors: {len(state)} tensors, {values:,} values; sha256 {digest[:12]}",
        "3 classes, labels from config.json",
        "BertForSequenceClassification; texts of at most 30 tokens",
    ]
    kind = "transformers:BertForSequenceClassification"
    assert model.origin == {"network": kind, "file": "model.safetensors", "sha256": digest}
    assert (model.source.given, model.source.expression, model.source.ours) == (
        kind,
        "SequenceClassifier",
        hugging_face.WRAPPER,
    )
    assert model.source.builder is SequenceClassifier
    assert model.source.code == (
        '"""BertForSequenceClassification of Hugging Face transformers, with imported weights."""\n'
    )
    assert model.input == {"max_words": 30, "max_characters": tokenizer.CHARACTERS * 32}
    assert model.example == ("An example. 一个例子。".encode(), "text/plain")
    assert (model.options, model.not_exported) == ({"truncate": "true"}, "transformers has its own exporters")
    assert model.serving == {"batch_size": 8, "response_timeout": 120}
    assert list(model.arguments) == ["config"]
    labels.write_text("a\nb\nc\n")
    renamed = hugging_face.imported(ImportOptions(folder, labels=labels))
    assert renamed.labels == ["a", "b", "c"]
    assert renamed.found[1] == f"3 classes, labels from {labels}"


def test_what_would_change_the_precision_is_left_out_of_the_config(tmp_path):
    folder = bert(tmp_path / "folder")
    file = folder / "config.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(content | {"torch_dtype": "float16", "problem_type": "single_label_classification"}))
    config = hugging_face.read_config(folder)
    assert config["dtype"] == "float32"
    assert config["problem_type"] == "single_label_classification"
    assert not {"torch_dtype", "quantization_config", "transformers_version"} & config.keys()
    assert config["id2label"] == {str(number): name for number, name in NAMES.items()}
    (folder / "tokenizer_config.json").unlink()
    assert hugging_face.read_config(folder) == config, "it is optional"


def test_a_config_that_is_refused_is_named(tmp_path):
    folder = bert(tmp_path / "folder")
    content = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    takes = f"--task text_classification takes {hugging_face.FORMS}"
    for name in ("config.json", "tokenizer_config.json"):
        file = folder / name
        before = file.read_bytes()
        file.write_text(json.dumps({**json.loads(before), "auto_map": {"AutoConfig": "code.Config"}}))
        assert refusal(folder) == f"{folder}/{name} names code of its own (auto_map), which is never run"
        file.write_bytes(before)
    for changed, message in (
        ({"quantization_config": {}}, f"{folder}: quantized weights can't be imported; save them in float32"),
        ({"model_type": 3}, f"{folder}/config.json has no model_type: {takes}"),
        ({"num_labels": 1, "id2label": None}, "id2label has one label, as for regression"),
    ):
        (folder / "config.json").write_text(json.dumps(content | changed))
        assert message in refusal(folder)
    (folder / "config.json").write_bytes(b'{"model_type": "\xff"}')
    assert refusal(folder).startswith(f"{folder}/config.json: 'utf-8' codec can't decode")
    (folder / "config.json").write_text("[]")
    assert refusal(folder) == f"{folder}/config.json holds no JSON object"
    (folder / "config.json").unlink()
    assert refusal(folder) == f"no file {folder}/config.json: {takes}"


def test_weights_that_do_not_fit_are_counted_and_named(tmp_path):
    folder = bert(tmp_path / "folder")
    weights = folder / "model.safetensors"
    state = load_file(weights)
    count = len(SequenceClassifier(hugging_face.read_config(folder)).state_dict())
    fitting = "model.safetensors does not fit BertForSequenceClassification of config.json: "
    missing = {name: value for name, value in state.items() if name != HEAD}
    save_file({**missing, "classifier.bias": torch.zeros(2)}, weights)
    assert refusal(folder) == f"{fitting}1 of {count} keys are missing: {HEAD}; classifier.bias is 2, by config.json 3"
    save_file({**state, HEAD: torch.zeros(3, 4)}, weights)
    assert refusal(folder) == f"{fitting}{HEAD} is 3 x 4, by config.json 3 x 16"
    save_file({**state, HEAD: torch.full((3, 16), float("nan"))}, weights)
    assert refusal(folder) == f"model.safetensors: {HEAD} has values that are not finite"


def test_the_library_downloads_nothing(monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    assert hugging_face.library().__name__ == "transformers"
    assert os.environ["HF_HUB_OFFLINE"] == "1"


def test_a_tokenizer_is_read_without_the_network_and_without_code(tmp_path):
    given = []

    class AutoTokenizer:
        @staticmethod
        def from_pretrained(folder, **options):
            given.append((folder, options))
            raise OSError

    library = SimpleNamespace(AutoTokenizer=AutoTokenizer)
    with pytest.raises(ModelImportError) as refused:
        tokenizer.codec_of(library, tmp_path, SequenceClassifier({"model_type": "bert", "vocab_size": 5, **SIZES}))
    assert given == [(tmp_path, {"local_files_only": True, "trust_remote_code": False})]
    assert str(refused.value) == f"{tmp_path}: no tokenizer can be read: OSError"


@pytest.mark.parametrize(("pad", "unknown", "blank"), [(5, 3, 5), (None, 3, 3), (None, None, 0), (0, 3, 0)])
def test_explanations_begin_with_padding_or_the_unknown_token_or_the_first(pad, unknown, blank):
    assert tokenizer.blank_of(SimpleNamespace(pad_token_id=pad, unk_token_id=unknown)) == blank


@pytest.mark.parametrize(
    ("own", "positions", "blank", "limits"),
    [
        (512, 514, 1, [512]),
        (10**30, 514, 1, [514, 512]),
        (513, 514, 1, [513, 512]),
        (32, 32, 0, [32, 31]),
        (10**30, None, 0, [512, 511]),
        (2, 2, 1, [2]),
        (3, 3, 1, [3, 1]),
    ],
)
def test_texts_have_as_many_tokens_as_tokenizer_and_positions_allow(own, positions, blank, limits):
    config = SimpleNamespace(max_position_embeddings=positions)
    network = SimpleNamespace(model=SimpleNamespace(config=config), blank=blank)
    assert list(tokenizer.limits(SimpleNamespace(model_max_length=own), network)) == limits


def test_the_first_line_of_an_error_is_its_reason():
    assert tokenizer.reason_of(ValueError("\n no such file\nmore")) == "no such file"
    assert tokenizer.reason_of(KeyError()) == "KeyError"


def test_tokens_without_an_id_are_unknown_or_blank(tmp_path):
    codec = hugging_face.imported(ImportOptions(bert(tmp_path / "folder"))).codec
    assert codec.number("film") == WORDS.index("film")
    assert codec.number("cinema") == codec.unknown == WORDS.index("[UNK]")
    assert codec.numbers(["film", "cinema"]).tolist() == [WORDS.index("film"), WORDS.index("[UNK]")]
    assert codec.numbers([]).tolist() == [codec.blank]
    assert codec.display(["[CLS]", "good", "##ly"]) == ["[CLS]", "good", "ly"]
