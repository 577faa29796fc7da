"""A text classifier that starts from the weights of `bert`, which are pretrained on unlabelled texts."""

from torch import Tensor, nn

from models.card import Card, Recipe, Serving
from models.parts.bert import Embeddings, Encoder
from models.parts.text import mask_of, masked_mean


class BertClassifier(nn.Module):
    """The mean of the encoder's states over the words, and one linear layer."""

    def __init__(
        self,
        vocabulary_size: int,
        separator: int,
        num_classes: int = 2,
        width: int = 256,
        heads: int = 4,
        layers: int = 3,
        longest: int = 256,
        near: int = 5,
    ) -> None:
        super().__init__()
        self.features = Encoder(vocabulary_size, separator, width, heads, layers, longest, near)
        self.dropout = nn.Dropout(0.1)
        self.classifier = nn.Linear(width, num_classes)

    @property
    def embedding(self) -> Embeddings:
        return self.features.embeddings

    def forward(self, ids: Tensor) -> Tensor:
        """(N, T) -> (N, num_classes)."""
        return self.classifier(self.dropout(self.pooled(ids)))

    def pooled(self, ids: Tensor) -> Tensor:
        """(N, T) -> (N, D)."""
        return masked_mean(self.features(ids), mask_of(ids))


CARD = Card(
    name="bert_classifier",
    task="text_classification",
    network=BertClassifier,
    data="reviews",
    input={"max_words": 126, "max_characters": 10_000},
    recipe=Recipe(
        epochs=2,
        batch_size=32,
        lr=5e-4,
        weight_decay=1e-2,
        label_smoothing=0.1,
        pretrained="bert",
        backbone_lr=0.2,
        precision="bf16",
    ),
    serving=Serving(batch_size=8),
    floor={"accuracy": 0.80},
    anchor="95.0 % on ChnSentiCorp (BERT-base, Chinese)",
    source="Devlin et al., arXiv:1810.04805",
    warm_start=("bert",),
    training_seconds=179,
)
