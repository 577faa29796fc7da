"""Tags of images: EfficientNet-Lite0 with ImageNet weights, and a last layer of independent labels."""

from models.card import Card, Recipe, Serving
from models.finetuned import EfficientNetLite0

CARD = Card(
    name="tagger",
    task="image_tagging",
    network=EfficientNetLite0,
    data="voc_digits",
    input={"size": 128, "channels": 3, "mean": (0.498, 0.498, 0.498), "std": (0.502, 0.502, 0.502)},
    recipe=Recipe(
        epochs=6,
        batch_size=32,
        lr=4e-3,
        weight_decay=1e-2,
        precision="bf16",
        pretrained="efficientnet_lite0",
        frozen_epochs=1,
        backbone_lr=0.5,
    ),
    serving=Serving(batch_size=16, channels_last=True),
    floor={"f1": 0.55},
    anchor="mAP 0.84-0.90 on Pascal VOC 2007 for networks with ImageNet weights",
    source="Tan and Le, arXiv:1905.11946, with a sigmoid for each label; ImageNet weights: Apache-2.0",
    training_seconds=80,
)
