"""Networks that begin with what others of ours have learned."""

from safetensors.torch import load_file
from torch import Tensor

from handlers import codecs
from handlers.codecs.text_line import TextLineCodec
from models.invoice import Invoice
from training.trained import trained


def alphabet() -> str:
    """The characters that crnn reads."""
    return codecs.load(TextLineCodec, trained("crnn")).alphabet


def begin(network: Invoice, characters: str) -> None:
    """Give the detector ctpn's weights and the reader crnn's, in its last layer those of the characters that it has."""
    network.detector.load_state_dict(load_file(trained("ctpn") / "model.safetensors"))
    weights, known = load_file(trained("crnn") / "model.safetensors"), alphabet()
    own = network.reader.state_dict()
    for key in ("classifier.weight", "classifier.bias"):
        weights[key] = spread(weights[key], known, own[key], characters)
    network.reader.load_state_dict(weights)


def spread(learned: Tensor, known: str, own: Tensor, characters: str) -> Tensor:
    """Rows of the classifier, the blank's first, in the order of another alphabet; characters that were not known keep
    their own.
    """
    rows = own.clone()
    rows[0] = learned[0]
    for place, one in enumerate(characters, start=1):
        if one in known:
            rows[place] = learned[known.index(one) + 1]
    return rows
