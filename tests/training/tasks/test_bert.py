"""BERT: its inputs, its targets, and the weights that it starts from."""

import json

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

import models
from handlers.codecs.wordpieces import SPECIAL, WordPieceCodec
from marina.training import pretrained, tasks
from marina.training.data import Dataset, Split
from marina.training.tasks.fill_mask import FillMask, masked_tokens, split_sentences, word_numbers
from models.bert_classifier import BertClassifier
from tests.support.worker import untrained

TEXTS = ["房间很干净。服务很热情！", "屏幕很清晰；键盘很舒服。", "没有句号的一句话"] * 20


@pytest.fixture
def task():
    card, split = models.find("bert"), Split(TEXTS, TEXTS)
    return tasks.find("fill_mask")(card, card.recipe, Dataset(split, split, split))


def test_texts_are_cut_where_a_sentence_ends():
    assert split_sentences("一二。三四五六。七") == ("一二。", "三四五六。七")
    assert split_sentences("没有句号") == ("没有", "句号")
    assert word_numbers("房间很干净") == [0, 0, 1, 2, 2]


def test_the_gaps_of_the_test_are_whole_words_as_they_are_read():
    assert [masked_tokens(word) for word in ("酒店", "，", "Vista", "512", " ", "…")] == [
        ["酒", "店"], [","], ["vista"], ["512"], [], []
    ]  # fmt: skip
    text = "这台Vista笔记本的屏幕很清晰，键盘很舒服。"
    requested = FillMask.requests(Dataset(*[Split([text] * 50, [])] * 3))
    found = [(json.loads(one.body)["text"], one.truth) for one in requested]
    assert len({shown for shown, _ in found}) > 10  # others each time
    for shown, truth in found:
        assert truth
        assert shown.count("[MASK]") == len(truth)
        filled = shown
        for token in truth:
            filled = filled.replace("[MASK]", token, 1)
        assert filled.lower().replace(",", "，") == text.lower()


def test_padding_is_no_neighbour(task):
    network = task.network.eval()
    short = torch.tensor([[7, 8, 9]])
    with torch.inference_mode():
        alone = network(short)
        padded = network(torch.nn.functional.pad(short, (0, 4)))
    torch.testing.assert_close(padded[:, :3], alone)


def test_an_example_is_two_sentences_and_the_words_of_their_tokens(task):
    (rows, follows), words = task.train_examples[[0]], task.codec
    ids, numbers = rows[0].unbind(dim=1)
    assert [words.token(number) for number in ids.tolist()] == [
        "[CLS]", *"房间很干净。", "[SEP]", *"服务很热情!", "[SEP]",
    ]  # fmt: skip
    assert follows.tolist() == [1.0]
    assert numbers.tolist() == [0, 1, 1, 2, 3, 3, 4, 0, 5, 5, 6, 7, 7, 8, 0]


def test_half_of_the_second_sentences_are_of_other_texts(task):
    follows = task.train_examples.targets
    assert follows.mean() == 0.5


def test_the_second_sentence_is_told_apart_and_padding_is_not_looked_at():
    network = models.find("bert").network(vocabulary_size=40, separator=3).eval()
    ids = torch.tensor([[2, 10, 11, 3, 12, 13, 3]])
    with torch.inference_mode():
        plain = network(ids)
        padded = network(torch.nn.functional.pad(ids, (0, 5)))[:, :7]
        one_sentence = network(torch.where(ids == 3, 20, ids))
    torch.testing.assert_close(padded, plain, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(one_sentence, plain, atol=1e-3)


def test_minilm_says_what_its_authors_network_says():
    """Two sentences alike are nearer to each other than to a third: what the weights were made for."""
    codec = WordPieceCodec(pretrained.find("minilm").tokenizer(), 126, 1_000)
    network = BertClassifier(codec.size, codec.number("[SEP]"), **pretrained.find("minilm").arguments).eval()
    pretrained.load(network, "minilm")
    texts = ["A man is eating food.", "Somebody eats a meal.", "The stock market fell sharply."]
    with torch.inference_mode():
        one, alike, other = (network.pooled(codec.numbers(codec.words(text))[None])[0] for text in texts)
    near = torch.nn.functional.cosine_similarity
    assert near(one, alike, dim=0) > 0.5 > 0.2 > near(one, other, dim=0)


def test_a_tokenizer_reads_as_the_library_does():
    ours = WordPieceCodec(pretrained.find("minilm").tokenizer(), 126, 1_000)
    theirs = Tokenizer.from_str(pretrained.find("minilm").tokenizer()).encode("Unaffable Müller pays 42€.")
    count = sum(theirs.attention_mask)
    assert ours.numbers(ours.words("Unaffable Müller pays 42€.")).tolist() == theirs.ids[:count]
    assert SPECIAL[3] in ours.words("a")


def test_the_classifier_begins_with_the_encoder_of_our_own_bert(tmp_path):
    """Through the file, whose order is not that of the layers."""
    folder = untrained("bert", tmp_path / "artifacts" / "bert" / "1.0")
    learned = load_file(folder / "model.safetensors")
    arguments = json.loads((folder / "card.json").read_text())["network"]
    network = BertClassifier(**arguments)
    pretrained.load(network, "bert")
    for key, tensor in network.features.state_dict().items():
        assert torch.equal(tensor, learned[f"features.{key}"]), key
