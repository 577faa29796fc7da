"""CRNN: convolutions over a line of text, BiLSTMs over its columns, CTC to align columns with characters."""

import torch
from torch import Tensor, nn

from models.card import Card, Recipe, Serving
from models.parts.bilstm import BiLSTM

PAD = 0  # padding columns; a line's own pixels are above it
NEVER = -1e4  # logit with probability 0


class CRNN(nn.Module):
    """Six convolutions, two BiLSTMs, linear: a frame for every four columns of pixels; class 0 is CTC's blank.

    Lines of different widths share a batch: padding columns are kept at zero in every layer, and their frames are blank
    with probability 1. So padding changes neither the output nor the loss, and widths need not be passed.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            [
                self.block(1, 24, pool=(2, 2)),  # (N, 1, 32, W) -> (N, 24, 16, W / 2)
                self.block(24, 48, pool=(2, 2)),  # (N, 48, 8, W / 4)
                self.block(48, 96, pool=(1, 1)),
                self.block(96, 96, pool=(2, 1)),  # (N, 96, 4, W / 4): characters are narrow, so the width is kept
                self.block(96, 160, pool=(2, 1)),  # (N, 160, 2, W / 4)
                self.block(160, 160, pool=(2, 1)),  # (N, 160, 1, W / 4)
            ]
        )
        self.strides = (2, 2, 1, 1, 1, 1)
        self.recurrent = nn.ModuleList([BiLSTM(160, 80), BiLSTM(160, 80)])
        self.classifier = nn.Linear(160, num_classes)
        self.certain_blank: Tensor
        certain = torch.tensor([0.0] + [NEVER] * (num_classes - 1))
        self.register_buffer("certain_blank", certain, persistent=False)

    @staticmethod
    def block(in_channels: int, channels: int, pool: tuple[int, int]) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(in_channels, channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.MaxPool2d(pool),
        )

    def forward(self, x: Tensor) -> Tensor:
        mask = x[:, 0, 0] != PAD  # (N, W)
        for block, stride in zip(self.blocks, self.strides, strict=True):
            mask = mask[:, ::stride]
            x = block(x) * mask[:, None, None]
        frames = x.squeeze(2).transpose(1, 2)  # (N, T, 160), T = W / 4
        for bilstm in self.recurrent:
            frames = frames + bilstm(frames, mask)  # a shortcut; without it CTC takes long to emit any character
        return torch.where(mask[:, :, None], self.classifier(frames), self.certain_blank)  # (N, T, num_classes)


CARD = Card(
    name="crnn",
    task="text_recognition",
    network=CRNN,
    data="text_lines",
    input={"height": 32, "max_width": 1024},
    recipe=Recipe(epochs=5, batch_size=16, lr=2.5e-3, weight_decay=1e-2, precision="bf16"),
    serving=Serving(batch_size=8, channels_last=True, explain_steps=8, response_timeout=60),
    floor={"character_error_rate_latin": 0.03, "character_error_rate_chinese": 0.06},
    anchor="86.7 % of words on ICDAR 2013 without a lexicon, 8.3 M weights",
    source="Shi et al., arXiv:1507.05717, narrower, shortcuts around the LSTMs; CTC: Graves et al. 2006",
    training_seconds=186,
)
