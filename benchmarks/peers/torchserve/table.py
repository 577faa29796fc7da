"""A handler for rows of numbers, as in TorchServe's documentation: a subclass of its BaseHandler."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from ts.torch_handler.base_handler import BaseHandler


class Table(BaseHandler):
    """Loading and forward pass are TorchServe's own."""

    def initialize(self, context: Any) -> None:
        super().initialize(context)
        self.scale = json.loads(Path(context.system_properties["model_dir"], "scale.json").read_text())

    def preprocess(self, data: list[dict[str, Any]]) -> Tensor:
        rows = torch.tensor([row["body"]["features"] for row in data])
        return (rows - torch.tensor(self.scale["mean"])) / torch.tensor(self.scale["std"])

    def postprocess(self, data: Tensor) -> list[dict[str, float]]:
        values = data * self.scale["target_std"] + self.scale["target_mean"]
        return [{"prediction": value} for value in values.tolist()]
