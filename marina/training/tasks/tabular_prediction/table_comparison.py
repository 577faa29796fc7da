"""Comparison of a table network with scikit-learn's linear model and gradient boosting, on the same folds."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split

from handlers.tables.table_schema import TableSchema, with_moments
from marina.training.data.dataset import SEED, VALIDATION_SHARE, Split
from marina.training.task import Task
from marina.training.tasks.tabular_prediction import table_fitting
from marina.training.tasks.tabular_prediction.table_fitting import EncodedRows

FOLDS = 5
MAX_ROWS = 4_000  # of the folds, drawn at random: more rows would take minutes, and narrow the interval little
MAX_BASELINE_ROWS = 100_000  # on which a baseline is fitted
NETWORK = "network"
RULE = (
    "the network matches a baseline if the mean difference over the folds is within two standard errors, corrected for "
    "overlapping training rows (Nadeau and Bengio 2003)"
)
Rows = tuple[list[Any], list[Any]]  # inputs and targets


def compare(task: Task) -> dict[str, Any]:
    """Return `baselines`, their metric on the test split, and `folds`: means, deviations and verdicts over five folds.

    Each fold has a codec of its own. The metric is accuracy, or the root mean squared error.
    """
    data, classes = task.data, len(task.data.labels)
    splits = [data.train, data.validation, data.test]
    inputs = [row for split in splits for row in split.head(MAX_ROWS).inputs]
    targets = np.array([target for split in splits for target in split.head(MAX_ROWS).targets])
    if sum(map(len, splits)) > MAX_ROWS:
        drawn = np.random.default_rng(task.recipe.seed).permutation(len(inputs))[:MAX_ROWS]
        inputs, targets = [inputs[row] for row in drawn], targets[drawn]
    folder = KFold if not classes or np.bincount(targets, minlength=classes).min() < FOLDS else StratifiedKFold
    folds = list(folder(FOLDS, shuffle=True, random_state=task.recipe.seed).split(inputs, targets))
    scores: dict[str, list[float]] = {}
    for train, test in folds:
        parts = [([inputs[row] for row in rows], targets[rows].tolist()) for rows in (train, test)]
        for name, value in _scores(task, parts[0], parts[1], network=True).items():
            scores.setdefault(name, []).append(value)
    whole = [_rows(data.train, MAX_BASELINE_ROWS), _rows(data.test, len(data.test))]
    metric = "accuracy" if classes else "rmse"
    return {
        "baselines": {
            name: {metric: value} for name, value in _scores(task, whole[0], whole[1], network=False).items()
        },
        "folds": summary(scores, metric, len(inputs), len(folds[0][1]) / len(folds[0][0])),
    }


def summary(scores: Mapping[str, Sequence[float]], metric: str, rows: int, ratio: float) -> dict[str, Any]:
    """Return mean and standard deviation of each model's metric over the folds, and the network's verdict on each
    baseline: better, matches or worse. `ratio` is that of test rows to training rows.

    >>> scores = {"network": [0.9, 0.8, 0.9], "linear": [0.5, 0.4, 0.5]}
    >>> summary(scores, "accuracy", 30, 0.5)["verdicts"]
    {'linear': 'better'}
    """
    each = {name: np.array(values) for name, values in scores.items()}
    verdicts = {}
    for name, values in each.items():
        if name != NETWORK:
            gain = (each[NETWORK] - values) * (1 if metric == "accuracy" else -1)
            error = float(gain.std(ddof=1)) * (1 / len(gain) + ratio) ** 0.5
            mean = float(gain.mean())
            verdicts[name] = "matches" if abs(mean) <= 2 * error + 1e-9 else "better" if mean > 0 else "worse"
    means = {
        name: {"mean": float(values.mean()), "sd": float(values.std(ddof=1)), "each": values.round(4).tolist()}
        for name, values in each.items()
    }
    return {"metric": metric, "rows": rows, "folds": len(each[NETWORK]), **means, "verdicts": verdicts, "rule": RULE}


def lines(comparison: Mapping[str, Any]) -> list[str]:
    """Return the comparison in a line: "5 folds of 442 rows: rmse 54.4 +- 2.1; linear 54.6 +- 2.0 (matches), ..."."""
    folds = comparison["folds"]

    def figures(name: str) -> str:
        return f"{folds[name]['mean']:.4g} +- {folds[name]['sd']:.2g}"

    beside = ", ".join(f"{name.replace('_', ' ')} {figures(name)} ({word})" for name, word in folds["verdicts"].items())
    return [f"{folds['folds']} folds of {folds['rows']} rows: {folds['metric']} {figures(NETWORK)}; beside {beside}"]


def _rows(split: Split, most: int) -> Rows:
    """The rows of a split, at most as many."""
    head = split.head(most)
    return list(head.inputs), list(head.targets)


def _scores(task: Task, train: Rows, test: Rows, network: bool) -> dict[str, float]:
    """The metric of each model that is fitted to `train`, on the rows of `test`."""
    classes, data = len(task.data.labels), task.data
    columns = TableSchema.fit(data.kinds, train[0], test[0], data.ignored, data.columns[-1])
    codes = columns.table(map(columns.codes, train[0]))
    numbers = None if classes else torch.tensor(train[1], dtype=torch.float64)
    schema = with_moments(columns, codes, numbers)
    test_codes = schema.table(map(schema.codes, test[0]))
    plain = schema.without_ramps
    x, test_x = (schema.features(part)[:, plain].numpy() for part in (codes, test_codes))
    y, truths = np.array(train[1]), np.array(test[1])
    predicted: dict[str, NDArray[Any]] = {}
    if network:
        targets = torch.tensor(train[1]) if numbers is None else schema.standardize_target(numbers).float()
        rest, held_out = train_test_split(np.arange(len(y)), test_size=VALIDATION_SHARE, random_state=SEED)
        parts = [EncodedRows(codes[rows], targets[rows]) for rows in (rest, held_out)]
        fitted = table_fitting.fit(task.card.network, task.recipe, schema, parts[0], parts[1])
        with torch.inference_mode():
            outputs = fitted(schema.features(test_codes))
        predicted[NETWORK] = (outputs.argmax(dim=1) if classes else schema.in_units(outputs)).numpy()
    for name, model in baselines(bool(classes)).items():
        predicted[name] = model.fit(x, y).predict(test_x)
    if classes:
        return {name: float((values == truths).mean()) for name, values in predicted.items()}
    return {name: float(((values - truths) ** 2).mean() ** 0.5) for name, values in predicted.items()}


def baselines(classes: bool) -> dict[str, Any]:
    """Return scikit-learn's models, by name."""
    if classes:
        boosting: Any = HistGradientBoostingClassifier(random_state=SEED)
        return {"linear": LogisticRegression(max_iter=2_000), "gradient_boosting": boosting}
    boosting = HistGradientBoostingRegressor(random_state=SEED)
    return {"linear": RidgeCV(np.logspace(-3, 3, 13)), "gradient_boosting": boosting}
