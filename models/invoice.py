"""Invoices end to end: a CTPN that detects lines and a CRNN that recognizes them, trained and served as one."""

from torch import Tensor, nn

from models.card import Card, Recipe, Serving
from models.crnn import CRNN
from models.ctpn import CTPN


class Invoice(nn.Module):
    """`forward` is the detector alone, since the number of lines depends on the page.

    The handler crops the lines and passes those of all pages to `reader`.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.detector = CTPN()
        self.reader = CRNN(num_classes)

    def forward(self, pages: Tensor) -> Tensor:
        proposals: Tensor = self.detector(pages)  # (N, 1, H, W) -> (N, H / 16, W / 16, 10, 4)
        return proposals


CARD = Card(
    name="invoice",
    task="document_ocr",
    network=Invoice,
    data="invoices",
    input={"max_side": 1280, "height": 32, "max_width": 1024},
    recipe=Recipe(epochs=3, batch_size=16, lr=1e-3, schedule="one_cycle", weight_decay=1e-2, precision="bf16"),
    serving=Serving(batch_size=2, channels_last=True, explain_steps=8, response_timeout=60),
    floor={"fields_exact": 0.95},
    not_exported="how many lines there are to read depends on what is on the page",
    anchor="none public: sets of invoices are private",
    source="Tian et al., arXiv:1609.03605; Shi et al., arXiv:1507.05717; both begin with the weights of ctpn and crnn",
    warm_start=(
        "ctpn",
        "crnn",
    ),
    training_seconds=118,
)
