"""A bidirectional LSTM with attention: words are weighted by their relevance."""

from torch import Tensor, nn

from models.card import Card, Recipe, Serving
from models.parts.text import PAD, BiLSTM, mask_of


class TextAttention(nn.Module):
    """Embeddings, a bidirectional LSTM, the sum of its states weighted by attention, linear."""

    def __init__(
        self, vocabulary_size: int, num_classes: int = 2, embedding_dim: int = 128, hidden_size: int = 96
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, embedding_dim, padding_idx=PAD)
        self.lstm = BiLSTM(embedding_dim, hidden_size)
        self.score = nn.Linear(2 * hidden_size, 1, bias=False)
        self.dropout = nn.Dropout(0.5)
        self.classifier = nn.Linear(2 * hidden_size, num_classes)

    def forward(self, ids: Tensor) -> Tensor:
        states = self.states(ids)
        read = (self.attend(states, ids).unsqueeze(2) * states).sum(dim=1)  # (N, 2H)
        return self.classifier(self.dropout(read.tanh()))  # (N, num_classes)

    def attention(self, ids: Tensor) -> Tensor:
        """Return the weight of each word, (N, T); the weights of a text add up to 1."""
        return self.attend(self.states(ids), ids)

    def states(self, ids: Tensor) -> Tensor:
        """(N, T) -> (N, T, 2H)."""
        return self.lstm(self.dropout(self.embedding(ids)), mask_of(ids))

    def attend(self, states: Tensor, ids: Tensor) -> Tensor:
        """Return the weights, (N, T), of states (N, T, 2H)."""
        scores = self.score(states.tanh()).squeeze(2)  # (N, T)
        return scores.masked_fill(ids == PAD, float("-inf")).softmax(dim=1)


CARD = Card(
    name="text_attention",
    task="text_classification",
    network=TextAttention,
    data="reviews",
    input={"max_words": 100, "max_characters": 10_000},
    # Whole reviews were labelled, then split into sentences, many of which express the opposite: smoothing helps.
    recipe=Recipe(epochs=4, batch_size=64, lr=2e-3, weight_decay=1e-2, label_smoothing=0.1, patience=2),
    serving=Serving(batch_size=16),
    floor={"accuracy": 0.82},
    anchor="93-94 % on microblogs",
    source="Zhou et al. 2016, Attention-based bidirectional LSTM networks for relation classification",
    training_seconds=28,
)
