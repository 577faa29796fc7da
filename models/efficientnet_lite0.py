"""EfficientNet-Lite0 for the 1,000 classes of ImageNet, with the published weights: there is no training."""

from models.card import Card, Recipe, Serving
from models.finetuned import EfficientNetLite0

CARD = Card(
    name="efficientnet_lite0",
    task="image_classification",
    network=EfficientNetLite0,
    data="photographs",
    # The preprocessing of the published weights: a centre crop of 224 pixels from 256, and (value - 127) / 128 for
    # values of 0 to 255. Here values are scaled to 0..1 first.
    input={
        "size": 224,
        "resize": 256,
        "channels": 3,
        "mean": (127 / 255, 127 / 255, 127 / 255),
        "std": (128 / 255, 128 / 255, 128 / 255),
    },
    recipe=Recipe(epochs=0, batch_size=1, lr=0.0, pretrained="efficientnet_lite0_imagenet"),
    serving=Serving(batch_size=8, channels_last=True),
    # On the test split of `data`, eight photographs: too few to compare with the published accuracy.
    floor={"accuracy": 0.6, "top5": 0.85},
    anchor="75.1 % top-1 on ImageNet's validation set, tensorflow/tpu; here eight photographs",
    source="Tan and Le, arXiv:1905.11946, in the form without squeeze and excitation; ImageNet weights: Apache-2.0",
    starter=True,
    training_seconds=0,
)
