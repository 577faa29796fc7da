"""The text classifier on a pretrained English encoder from a package: all-MiniLM-L6-v2."""

from models.bert_classifier import BertClassifier
from models.card import Card, Recipe, Serving

CARD = Card(
    name="bert_classifier_en",
    task="text_classification",
    network=BertClassifier,
    data="newsgroups",
    input={"max_words": 126, "max_characters": 10_000},
    recipe=Recipe(
        epochs=1,
        batch_size=32,
        lr=1e-3,
        weight_decay=1e-2,
        pretrained="minilm",
        backbone_lr=0.1,
        precision="bf16",
    ),
    serving=Serving(batch_size=8),
    floor={"above_frozen": 0.03},
    anchor="no published figure for these five groups",
    source="Wang et al., arXiv:2002.10957; Reimers and Gurevych, arXiv:1908.10084",
    training_seconds=140,
)
