"""Baselines of text classification, which a network has to exceed: linear models of the words, and of the frozen
features of a pretrained network.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.nn.utils.rnn import pad_sequence

from handlers.codecs.words import PAD
from marina.training import pretrained
from marina.training.data.dataset import Dataset
from marina.training.hardware import Hardware, training_device, training_precision
from marina.training.task import Task


def accuracies(words: Callable[[str], Sequence[str]], data: Dataset) -> dict[str, float]:
    """Return the test accuracy of logistic regression on word counts and on TF-IDF; `words` splits a text into
    words.
    """
    train, test = ([words(text) for text in split.inputs] for split in (data.train, data.test))
    result = {}
    for name, vectorizer in (("bag_of_words", CountVectorizer), ("tfidf", TfidfVectorizer)):
        model = make_pipeline(vectorizer(analyzer=list, min_df=2), LogisticRegression(max_iter=1000))
        model.fit(train, data.train.targets)
        result[name] = float(model.score(test, data.test.targets))
    return result


AT_ONCE = 32  # texts


def frozen_feature_accuracy(task: Task) -> float:
    """Return the test accuracy of logistic regression on the pretrained network's features of a text, before
    fine-tuning.
    """
    hardware = Hardware()
    device = training_device(hardware)
    network: Any = task.card.network(**task.arguments).eval().to(device)
    assert task.recipe.pretrained is not None
    pretrained.load(network, task.recipe.pretrained)
    in_bf16 = training_precision(task.recipe, hardware) == "bf16-mixed"  # as it is fine-tuned
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
