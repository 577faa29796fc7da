"""Folders of Hugging Face sequence classifiers: the response is the library's own output, in any language."""

import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from marina.errors import ModelImportError
from marina.hosting.host import HostedRequest
from marina.packaging.imports import hugging_face
from marina.packaging.imports.imported_model import ImportOptions
from tests.packaging.imports.test_imports import Code, one_line

transformers = pytest.importorskip("transformers", reason="transformers is not installed: the extra huggingface")
TASK = "text_classification"
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "film", "is", "good", "bad", "##ly", "很", "好", "坏"]
TEXTS = ["The film is good", "goodly 很好! unheard of [PAD]", "bad"]
SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
NAMES = {0: "negative", 1: "正面", 2: "neither"}


def bert(folder: Path, **changed) -> Path:
    """Save a random BERT classifier of three classes and texts of 32 tokens, with its tokenizer."""
    tokenizer = Tokenizer(models.WordPiece({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    ends = [("[CLS]", 2), ("[SEP]", 3)]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    tokenizer.decoder = decoders.WordPiece()
    named = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=32, **named)
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    more = {"vocab_size": len(WORDS), "max_position_embeddings": 32, "id2label": NAMES, "initializer_range": 0.5}
    config = transformers.BertConfig(**SIZES, **more | changed)
    transformers.BertForSequenceClassification(config).save_pretrained(folder)
    return folder


def roberta(folder: Path) -> Path:
    """Save a random RoBERTa classifier, whose tokens are of bytes, and whose positions begin after the padding."""
    tokenizer = Tokenizer(models.BPE())
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {word: i for i, word in enumerate(["<s>", "<pad>", "</s>", "<unk>", *letters])}
    tokenizer.model = models.BPE(vocabulary, [], unk_token="<unk>")
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(), decoders.ByteLevel()
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    more = {"vocab_size": len(vocabulary), "max_position_embeddings": 34, "pad_token_id": 1, "type_vocab_size": 1}
    config = transformers.RobertaConfig(**SIZES, **more, id2label=NAMES, initializer_range=0.5)
    transformers.RobertaForSequenceClassification(config).save_pretrained(folder)
    return folder


def expected(folder: Path, text: str) -> dict[str, float]:
    """The answer of the library's own pipeline."""
    pipeline = transformers.pipeline("text-classification", model=str(folder), device="cpu")
    return {each["label"]: each["score"] for each in pipeline(text, top_k=None, truncation=True, max_length=32)}


def request(text: str, explain: bool = False, **options: str) -> HostedRequest:
    return HostedRequest.of_body(text.encode(), "text/plain", options, explain)


@pytest.mark.parametrize("make", [bert, roberta])
def test_the_response_is_the_librarys_own_output(tmp_path, opened, make):
    folder = make(tmp_path / "folder")
    model = hugging_face.imported(ImportOptions(folder))
    assert model.codec.max_words == 30
    assert model.labels == list(NAMES.values())
    host = opened(TASK, model)
    texts = [*TEXTS, "the film is bad " * 20]
    responses = host.batch([request(text, truncate="true") for text in texts])
    assert [responses[place].json["truncated"] for place in (0, -1)] == [False, True]
    for text, response in zip(texts, responses, strict=True):
        found = {each["label"]: each["probability"] for each in response.json["predictions"]}
        assert found == pytest.approx(expected(folder, text), abs=1e-5)
    (refused,) = host.batch([request(texts[-1])])
    assert (refused.status, refused.json["field"]) == (400, "text")
    assert "over the limit of 30; truncate=true cuts" in refused.json["message"]


@pytest.mark.parametrize(("make", "words"), [(bert, ["[CLS]", "the", "很", "[UNK]", "[SEP]"]), (roberta, None)])
def test_the_attributions_of_tokens_add_up(tmp_path, opened, make, words):
    host = opened(TASK, hugging_face.imported(ImportOptions(make(tmp_path / "folder"))))
    host.card["serving"]["explain_steps"] = 200
    (response,) = host.batch([request("the 很 x", explain=True)])
    assert response.status == 200, response.body
    found = [each["word"] for each in response.json["words"]]
    assert "很" in found, "also where three tokens of a byte spell it"
    assert words in (None, found)
    assert [each["known"] for each in response.json["words"]] == [word != "[UNK]" for word in found]
    assert any(abs(each["weight"]) > 1e-3 for each in response.json["words"])
    assert abs(response.json["convergence_delta"]) < 0.05


def test_folders_that_do_not_fit_are_refused_in_one_line(tmp_path):
    folder = bert(tmp_path / "folder")
    weights, config = folder / "model.safetensors", json.loads((folder / "config.json").read_text())
    state = load_file(weights)
    head = "classifier.weight"
    (tmp_path / "labels.txt").write_text("a\nb")

    def refused(message: str, **options) -> None:
        with pytest.raises(ModelImportError, match=one_line(message)):
            hugging_face.imported(ImportOptions(folder, **options))

    refused("the weights have 3 classes, .*labels.txt has 2 labels", labels=tmp_path / "labels.txt")
    for changed, message in (
        ({"auto_map": {"AutoConfig": "code.Config"}}, "names code of its own"),
        ({"problem_type": "multi_label_classification"}, "has one class for each text"),
        ({"id2label": {"0": "score"}}, "id2label has one label"),
        ({"id2label": {"0": "a", "1": "b"}}, f"{head.replace('weight', 'bias')} is 3, by config.json 2"),
        ({"num_hidden_layers": 3}, "model.safetensors does not fit BertForSequenceClassification .* keys are missing"),
        ({"model_type": "nothing"}, "config.json: .*nothing"),
        ({"model_type": None}, "has no model_type"),
    ):
        (folder / "config.json").write_text(json.dumps(config | changed))
        refused(message)
    (folder / "config.json").write_text(json.dumps(config))
    save_file({name: value for name, value in state.items() if name != head}, weights)
    refused(f"1 of .* keys are missing: {head}")
    weights.write_bytes(weights.read_bytes()[:-100])
    refused("model.safetensors is truncated")
    weights.unlink()
    proof = tmp_path / "proof"
    torch.save({"x": Code(f"touch {proof}")}, folder / "pytorch_model.bin")
    refused("pytorch_model.bin is refused: loading it would run code")
    assert not proof.exists()
    torch.save({**state, "extra": torch.zeros(1)}, folder / "pytorch_model.bin")
    assert "1 tensors are no part of it, such as extra" in hugging_face.imported(ImportOptions(folder)).found
    (folder / "tokenizer.json").unlink()
    refused("no tokenizer can be read|has no tokenizer.json")
    (folder / "pytorch_model.bin").unlink()
    refused("has no model.safetensors or pytorch_model.bin")
    with pytest.raises(ModelImportError, match=one_line("is no folder: --task text_classification takes the folder")):
        hugging_face.imported(ImportOptions(folder / "config.json"))


def test_transformers_is_optional(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ModelImportError, match=one_line("transformers is not installed")):
        hugging_face.imported(ImportOptions(tmp_path))
