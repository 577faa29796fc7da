"""The network as it computes fastest on a device, with the same answers: eager PyTorch, tuned."""

import copy
import logging
from collections import Counter
from collections.abc import Callable

import torch
from torch import Tensor, nn

Run = Callable[[Tensor], Tensor]
NORMALISATIONS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
BF16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")

logger = logging.getLogger(__name__)


def has_bf16(device: torch.device) -> bool:
    """Does the hardware multiply in bfloat16? Emulated, it would be slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    able = torch.cpu.get_capabilities()
    return any(able.get(instruction) for instruction in BF16_INSTRUCTIONS)


def fold(network: nn.Module) -> nn.Module:
    """A copy without batch normalisations: each is a factor and an offset, which the convolution before it can bear."""
    normalisations = {name for name, module in network.named_modules() if isinstance(module, NORMALISATIONS)}
    if not normalisations:
        return network
    from torch.fx import symbolic_trace  # 0.1 s, and not every network needs it
    from torch.fx.experimental.optimization import fuse
    from torch.fx.proxy import TraceError

    try:
        calls = Counter(node.target for node in symbolic_trace(network).graph.nodes if node.op == "call_module")
    except TraceError as fault:  # a forward pass that branches on its input can't be traced: it stays whole
        logger.info("batch normalisation is not folded: %s", fault)
        return network
    if any(calls[name] > 1 for name in normalisations):
        return network  # `fuse` would fold it once for each call
    return fuse(network)


class Eager:
    """(N, ...) on the processor -> the network's output, float32, on the processor.

    A copy of the network with `precision` "bf16" or "fp32" and, for images, channels last; the network itself stays as
    it is for explanations, whose gradients want float32.
    """

    def __init__(self, network: nn.Module, device: torch.device, precision: str, channels_last: bool) -> None:
        self.device = device
        self.dtype = torch.bfloat16 if precision == "bf16" and has_bf16(device) else torch.float32
        self.layout = torch.channels_last if channels_last else torch.preserve_format
        folded = fold(network)
        if folded is network and self.dtype != torch.float32:
            folded = copy.deepcopy(network)
        self.network = folded.to(self.dtype).to(memory_format=self.layout)

    def __call__(self, batch: Tensor) -> Tensor:
        if self.device.type == "cuda":
            batch = batch.pin_memory()  # without it the copy would not be non-blocking
        dtype = self.dtype if batch.is_floating_point() else batch.dtype
        layout = self.layout if batch.dim() == 4 else torch.preserve_format
        batch = batch.to(self.device, dtype, non_blocking=True, memory_format=layout)
        output: Tensor = self.network(batch)
        return output.float().cpu()
