"""Predictions and attributions of words and gaps, by networks that are linear in the embeddings."""

import pytest
import torch
from torch import nn

import models
from handlers.classification import TopKInput
from handlers.codecs.wordpieces import WordPieceCodec
from handlers.codecs.words import PAD, SPECIAL, TextCodec
from handlers.errors import BadRequest
from handlers.fill_mask import FillMask
from handlers.text.text_request import TextInput
from handlers.text_classification import TextClassification
from handlers.word_similarity import WordSimilarity
from tests.support.bare import Counting, bare, make_request
from tests.tasks.fill_mask import TRAINING_TEXTS

WORDS = ["好", "不错", "房间", "很"]


class Reader(Counting):
    """(N, T) -> (N, 2): linear in the embeddings of the words, or bent."""

    def __init__(self, size: int, bent: bool = False) -> None:
        super().__init__()
        self.embedding, self.bent = nn.Embedding(size, 3), bent
        self.weights = nn.Parameter(torch.randn(2, 3))

    def forward(self, ids):
        sums = self.embedding(self.counted(ids)).sum(dim=1) @ self.weights.T
        return sums.relu() if self.bent else sums


class Attentive(Reader):
    def attention(self, ids):
        return torch.arange(ids.shape[1]).expand(ids.shape) / 4


def text_handler(tmp_path, network):
    codec = TextCodec([*SPECIAL, *WORDS], ["的"], max_words=4, max_characters=30)
    return bare(TextClassification, tmp_path, codec, network.requires_grad_(False), ["差评", "好评"])


@pytest.fixture
def reader():
    torch.manual_seed(3)
    return Reader(6)


def test_texts_are_decoded_padded_and_answered_with_what_was_unknown(tmp_path, reader):
    handler = text_handler(tmp_path, reader)
    item = handler.decode(make_request(text="房间很蛐蛐 蛐蛐 好 不错", truncate=True, top=1))
    assert (item.value.truncated, item.top) == (True, 1)
    batch = handler.collate([item, TopKInput(TextInput(["好"], False), 5)])
    assert batch.tolist() == [handler.codec.numbers(item.value.tokens).tolist(), [2, PAD, PAD, PAD]]
    response = handler.encode(torch.tensor([0.2, 0.8]).log(), item)
    assert response["predictions"] == [{"label": "好评", "probability": pytest.approx(0.8)}]
    assert (response["truncated"], response["unknown"]) == (True, ["蛐蛐"])


def test_what_each_word_adds_to_padding(tmp_path, reader):
    handler = text_handler(tmp_path, reader)
    response = handler.explain(handler.decode(make_request(text="房间很好蛐蛐")), "差评")
    ids = handler.codec.numbers([one["word"] for one in response["words"]])
    away = reader.embedding(ids) - reader.embedding(torch.tensor(PAD))
    assert [one["weight"] for one in response["words"]] == pytest.approx((away @ reader.weights[0]).tolist(), abs=1e-4)
    assert [one["known"] for one in response["words"]] == [True, True, True, False]
    assert [set(one) for one in response["words"]] == [{"word", "weight", "known"}] * 4
    assert response["convergence_delta"] == pytest.approx(0, abs=1e-4)
    assert response["target"]["label"] == "差评"
    assert max(reader.sizes) == 3
    assert sum(reader.sizes) == 1 + 2 + 8 + 2 + 2  # prediction, the layer's outputs, steps, captum's delta, ours


def test_what_the_weights_miss_is_counted_from_these_words_unsaid(tmp_path):
    torch.manual_seed(1)
    network = Reader(6, bent=True)
    handler = text_handler(tmp_path, network)
    deltas = []
    for text in ("房间很好", "好 好 好 不错", "很 很", "不错"):
        for target in ("差评", "好评"):
            item = handler.decode(make_request(text=text))
            ids = handler.collate([item])
            response = handler.explain(item, target)
            number = handler.labels.index(target)
            silence = (network.embedding(torch.zeros_like(ids)).sum(dim=1) @ network.weights.T).relu()
            gain = float((network(ids) - silence)[0, number])
            total = sum(one["weight"] for one in response["words"])
            assert response["convergence_delta"] == pytest.approx(total - gain, abs=1e-4)
            deltas.append(abs(response["convergence_delta"]))
    assert max(deltas) > 1e-3
    assert not network.embedding._forward_hooks


def test_what_a_network_attends_to_stands_beside_the_weights(tmp_path):
    handler = text_handler(tmp_path, Attentive(6))
    response = handler.explain(handler.decode(make_request(text="房间很好")), None)
    assert [one["attention"] for one in response["words"]] == [0, 0.25, 0.5]


def test_a_text_of_stop_words_has_no_word_to_explain(tmp_path, reader):
    handler = text_handler(tmp_path, reader)
    with pytest.raises(BadRequest, match="no word is left to explain once links, names and stop words") as caught:
        handler.explain(handler.decode(make_request(text="的")), None)
    assert caught.value.field == "text"


class Filler(Counting):
    """(N, T) -> (N, T, V): the sum of all embeddings, times the place."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.features = nn.Module()
        self.features.embeddings = nn.Embedding(size, 3)
        self.weights = nn.Parameter(torch.randn(size, 3))

    def forward(self, ids):
        sums = self.features.embeddings(self.counted(ids)).sum(dim=1, keepdim=True) @ self.weights.T
        return sums * (1 + torch.arange(ids.shape[1]))[:, None] / 10


@pytest.fixture
def filler(tmp_path):
    torch.manual_seed(3)
    codec = WordPieceCodec.fit(TRAINING_TEXTS, 20, 100)
    return bare(FillMask, tmp_path, codec, Filler(codec.size).requires_grad_(False))


def test_a_gap_is_filled_with_tokens_that_texts_have(filler):
    item = filler.decode(make_request(text="房[MASK]很[MASK]Ω", top=2))
    assert item.value.tokens == ["[CLS]", "房", "[MASK]", "很", "[MASK]", "[UNK]", "[SEP]"]
    assert filler.collate([item, filler.decode(make_request(text="[MASK]"))])[1].tolist() == [2, 4, 3, 0, 0, 0, 0]
    logits = torch.zeros(9, filler.codec.size)  # two of them are padding's
    logits[:, :5] = 50.0  # what only we write is never meant
    one, other = filler.codec.number("好"), filler.codec.number("差")
    logits[2, [one, other]] = torch.tensor([9.0, 8.0])
    logits[4, [other, one]] = torch.tensor([9.0, 8.0])
    response = filler.encode(logits, item)
    assert [[token["token"] for token in gap] for gap in response["masks"]] == [["好", "差"], ["差", "好"]]
    rest = filler.codec.size - 7
    total = torch.tensor([9.0, 8.0]).exp().sum() + rest
    assert response["masks"][0][0]["probability"] == pytest.approx(float(torch.tensor(9.0).exp() / total), abs=1e-6)
    assert (response["truncated"], response["unknown"]) == (False, ["[UNK]"])
    many = filler.encode(logits, filler.decode(make_request(text="[MASK]", top=1000)))["masks"][0]
    assert len(many) == filler.codec.size - 5


def test_a_text_without_a_gap_is_refused(filler):
    with pytest.raises(BadRequest) as caught:
        filler.decode(make_request(text="房间"))
    assert caught.value.field == "text"
    assert caught.value.reason == "there is nothing to fill: write [MASK] where a token is wanted"


def test_what_each_token_adds_to_gaps_everywhere(filler):
    network, item = filler.network, filler.decode(make_request(text="很[MASK][MASK]好"))
    ids = filler.collate([item])
    probabilities = filler.probabilities(network(ids)[0, 2])
    away = network.features.embeddings(ids[0]) - network.features.embeddings(torch.tensor(4))
    for target in (None, "差"):
        network.sizes.clear()
        number = int(probabilities.argmax()) if target is None else filler.codec.number(target)
        response = filler.explain(item, target)
        assert response["target"]["token"] == filler.codec.token(number)
        assert response["target"]["probability"] == pytest.approx(float(probabilities[number]), abs=1e-5)
        assert [one["word"] for one in response["words"]] == item.value.tokens
        wanted = (away @ network.weights[number] * 0.3).tolist()
        assert [one["weight"] for one in response["words"]] == pytest.approx(wanted, abs=1e-4)
        assert all(one["weight"] == round(one["weight"], 6) for one in response["words"])
        assert response["convergence_delta"] == pytest.approx(0, abs=1e-3)
        assert max(network.sizes) == 3


@pytest.mark.parametrize("target", ["很好", "Ω", "[SEP]", "[MASK]", "", "x" * 30])
def test_a_target_that_is_not_one_known_token_is_refused(filler, target):
    with pytest.raises(BadRequest) as caught:
        filler.explain(filler.decode(make_request(text="很[MASK]")), target)
    assert (caught.value.field, caught.value.reason) == ("target", f"{target[:20]!r} is not one known token")


@pytest.fixture
def neighbours(tmp_path):
    return bare(WordSimilarity, tmp_path, TextCodec([*SPECIAL, *WORDS, "wifi"], [], 4, 30), nn.Identity())


def test_the_nearest_words_but_the_word_itself(neighbours):
    item = neighbours.decode(make_request(text=" ＷｉＦｉ\n", top=3))
    assert (int(item.value), item.top) == (6, 3)
    assert neighbours.collate([item, item]).tolist() == [6, 6]
    likeness = torch.tensor([0.9, 0.9, 0.1, 0.3, 0.12345678, -0.5, 1.0])
    assert neighbours.encode(likeness, item)["neighbours"] == [
        {"word": "不错", "similarity": pytest.approx(0.3, abs=1e-6)},
        {"word": "房间", "similarity": 0.123457},
        {"word": "好", "similarity": pytest.approx(0.1, abs=1e-6)},
    ]
    everything = neighbours.encode(likeness, neighbours.decode(make_request(text="wifi", top=100)))["neighbours"]
    assert [one["word"] for one in everything] == ["不错", "房间", "好", "很"]


def test_a_word_that_is_not_known_is_refused(neighbours):
    with pytest.raises(BadRequest) as caught:
        neighbours.decode(make_request(text="量子" * 12))
    assert (caught.value.field, caught.value.reason) == ("text", f"the word {'量子' * 10!r} is not one of the 7 known")
    with pytest.raises(BadRequest, match="31 characters are over the limit of 30"):
        neighbours.decode(make_request(text="好" * 31))


def test_a_separator_belongs_to_the_sentence_that_it_ends():
    network = models.find("bert").network(vocabulary_size=40, separator=3).eval().features.embeddings
    ids = torch.tensor([[2, 10, 3, 11, 3, 12]])
    seen = []
    network.sentences.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].tolist()))
    network(ids)
    assert seen == [[[0, 0, 0, 1, 1, 1]]]
