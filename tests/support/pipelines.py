"""Pipelines of scikit-learn, saved as ONNX: numbers in one input, or a number and a text in two."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler


def flowers(file: Path, zipmap: bool = True) -> tuple[Any, Any]:
    """Write a forest that names iris flowers; return it and ten rows."""
    found = load_iris()
    rows = found.data.astype(np.float32)
    pipeline = make_pipeline(StandardScaler(), RandomForestClassifier(20, random_state=0))
    pipeline.fit(rows, np.array(found.target_names)[found.target])
    file.write_bytes(to_onnx(pipeline, rows[:1], options={"zipmap": zipmap}).SerializeToString())
    return pipeline, rows[::15]


def progression(file: Path) -> tuple[Any, Any]:
    """Write gradient boosting of the diabetes data; return it and ten rows."""
    found = load_diabetes()
    rows = found.data.astype(np.float32)
    pipeline = make_pipeline(StandardScaler(), GradientBoostingRegressor(n_estimators=20, random_state=0))
    pipeline.fit(rows, found.target)
    file.write_bytes(to_onnx(pipeline, rows[:1]).SerializeToString())
    return pipeline, rows[::45]


def people(file: Path, unknown: str = "ignore") -> tuple[Any, pd.DataFrame]:
    """Write a linear model of a number, which may be missing, and a text; return it and ten rows."""
    generator = np.random.default_rng(0)
    frame = pd.DataFrame({"age": generator.uniform(18, 90, 200), "city": generator.choice(["Oslo", "Tromsø"], 200)})
    moved = (frame["age"] < 40) ^ (frame["city"] == "Oslo")
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    encoder = ColumnTransformer([("n", numbers, ["age"]), ("c", OneHotEncoder(handle_unknown=unknown), ["city"])])
    pipeline = make_pipeline(encoder, LogisticRegression()).fit(frame, np.where(moved, 1, 0))
    types = [("age", FloatTensorType([None, 1])), ("city", StringTensorType([None, 1]))]
    file.write_bytes(to_onnx(pipeline, initial_types=types).SerializeToString())
    return pipeline, frame.head(10)
