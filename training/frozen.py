"""What a pretrained network is worth as it is: fine-tuning has to be better than this."""

from typing import Any

import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.nn.utils.rnn import pad_sequence

from handlers.codecs.text import PAD
from training import precision, pretrained
from training.hardware import Hardware
from training.task import Task

AT_ONCE = 32  # texts


def accuracy(task: Task) -> float:
    """Test accuracy of logistic regression on what the network says of a text before it learned from any of these."""
    hardware = Hardware()
    device = precision.device_of(hardware)
    network: Any = task.card.network(**task.arguments).eval().to(device)
    assert task.recipe.pretrained is not None
    pretrained.load(network, task.recipe.pretrained)
    in_bf16 = precision.of(task.recipe, hardware) == "bf16-mixed"  # as it is fine-tuned
    features = []
    for split in (task.data.train, task.data.test):
        rows = [task.codec.numbers(task.codec.words(text)) for text in split.inputs]
        order = sorted(range(len(rows)), key=lambda place: len(rows[place]))  # little padding
        found = [torch.empty(0)] * len(rows)
        for start in range(0, len(order), AT_ONCE):
            places = order[start : start + AT_ONCE]
            batch = pad_sequence([rows[place] for place in places], batch_first=True, padding_value=PAD)
            with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=in_bf16):
                vectors = network.pooled(batch.to(device)).float().cpu()
            for place, vector in zip(places, vectors, strict=True):
                found[place] = vector
        features.append(torch.stack(found).numpy())
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, C=0.1))
    model.fit(features[0], task.data.train.targets)
    return float(model.score(features[1], task.data.test.targets))
