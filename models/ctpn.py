"""CTPN: detects text as sequences of narrow proposals, 16 pixels wide, with regressed heights and offsets."""

import torch
from torch import Tensor, nn

from models.card import Card, Recipe, Serving
from models.parts.bilstm import BiLSTM

PAD = 0  # padding; a page's own pixels are above it
NEVER = -1e4  # logit with probability 0
ANCHORS = 10  # per cell, with heights of 11 to 283 pixels (handlers/documents/text_proposals.py)
RARE = -4.0  # initial logit of scores: few cells contain text


class CTPN(nn.Module):
    """VGG-like features at a sixteenth of the size, a 3x3 window, a BiLSTM along each row of cells, linear.

    For each anchor of each cell: the logit of text, the offset of its centre and the logarithm of its height (both
    relative to the anchor's height), and the offset of the line's nearer end (relative to 16 pixels). Pages of
    different sizes share a batch: padding is kept at zero, and is never text.
    """

    def __init__(self, channels: int = 16, hidden_size: int = 64) -> None:
        super().__init__()
        c = channels
        self.convolutions = nn.ModuleList(
            [
                self.convolution(1, c),
                self.convolution(c, 2 * c),
                self.convolution(2 * c, 4 * c),
                self.convolution(4 * c, 8 * c),
                self.convolution(8 * c, 8 * c),
                self.convolution(8 * c, 8 * c),  # the window
            ]
        )
        self.pooled = (True, True, True, True, False, False)  # (N, 1, H, W) -> (N, 8c, H / 16, W / 16)
        self.recurrent = BiLSTM(8 * c, hidden_size)
        self.linear = nn.Sequential(nn.Linear(2 * hidden_size, 8 * c), nn.ReLU())
        self.head = nn.Linear(8 * c, 4 * ANCHORS)
        nn.init.constant_(self.head.bias.view(ANCHORS, 4)[:, 0], RARE)
        self.nothing: Tensor
        self.register_buffer("nothing", torch.tensor([NEVER, 0.0, 0.0, 0.0]), persistent=False)

    @staticmethod
    def convolution(in_channels: int, channels: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(in_channels, channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        mask = x != PAD  # (N, 1, H, W)
        for convolution, pooled in zip(self.convolutions, self.pooled, strict=True):
            x = convolution(x) * mask
            if pooled:
                x = nn.functional.max_pool2d(x, 2)
                mask = mask[:, :, ::2, ::2]
        rows = x.permute(0, 2, 3, 1)  # (N, H / 16, W / 16, 8c)
        states = self.recurrent(rows.flatten(0, 1), mask.flatten(0, 2))  # (N * H / 16, W / 16, 2 * hidden_size)
        proposals = self.head(self.linear(states)).unflatten(2, (ANCHORS, 4)).unflatten(0, (-1, x.shape[2]))
        return torch.where(mask[:, 0, :, :, None, None], proposals, self.nothing)  # (N, H / 16, W / 16, ANCHORS, 4)


CARD = Card(
    name="ctpn",
    task="text_detection",
    network=CTPN,
    data="text_pages",
    input={"max_side": 1024},
    recipe=Recipe(epochs=8, batch_size=8, lr=3e-3, weight_decay=1e-2, precision="bf16"),
    serving=Serving(batch_size=4, channels_last=True, explain_steps=8, response_timeout=120),
    floor={"f1": 0.85},
    anchor="F 0.88 on ICDAR 2013, with VGG16 pretrained on ImageNet",
    source="Tian et al., arXiv:1609.03605, features a quarter as wide; scores by focal loss (arXiv:1708.02002)",
    training_seconds=91,
)
