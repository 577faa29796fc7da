"""EfficientNet-Lite0 on ImageNet: the 1,000 classes, with the published weights. Nothing is trained."""

from models.card import Card, Recipe, Serving
from models.finetuned import EfficientNetLite0

CARD = Card(
    name="efficientnet_lite0",
    task="image_classification",
    network=EfficientNetLite0,
    data="photographs",
    # As the network was trained: (value - 127) / 128 of 0..255, and 224 pixels cut out of 256.
    input={
        "size": 224,
        "resize": 256,
        "channels": 3,
        "mean": (127 / 255, 127 / 255, 127 / 255),
        "std": (128 / 255, 128 / 255, 128 / 255),
    },
    recipe=Recipe(epochs=0, batch_size=1, lr=0.0, pretrained="efficientnet_lite0_imagenet"),
    serving=Serving(batch_size=8, channels_last=True),
    floor={"accuracy": 0.6, "top5": 0.85},
    anchor="75.1 % top-1 on ImageNet's validation set, tensorflow/tpu; here eight photographs",
    source="Tan and Le, arXiv:1905.11946, in the form without squeeze and excitation; ImageNet weights: Apache-2.0",
    starter=True,
    training_seconds=0,
)
