"""The network in eager PyTorch, optimized for a device; its outputs are the same within the precision."""

import copy
import logging
from collections import Counter
from collections.abc import Callable

import torch
from torch import Tensor, nn

OptimizedNetwork = Callable[[Tensor], Tensor]
NORMALISATIONS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
BF16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")

logger = logging.getLogger(__name__)


def has_bf16(device: torch.device) -> bool:
    """Return whether the hardware multiplies in bfloat16. Emulated, it would be slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(instruction) for instruction in BF16_INSTRUCTIONS)


def fold(network: nn.Module) -> nn.Module:
    """Return a copy without batch normalisations: each is a factor and an offset, which the convolution before absorbs.

    The network itself is returned if it has none, can't be traced, or uses one of them several times.
    """
    normalisations = {name for name, module in network.named_modules() if isinstance(module, NORMALISATIONS)}
    if not normalisations:
        return network
    from torch.fx import symbolic_trace  # imported here: it takes 0.1 s, and not every network needs it
    from torch.fx.experimental.optimization import fuse
    from torch.fx.proxy import TraceError

    try:
        calls = Counter(node.target for node in symbolic_trace(network).graph.nodes if node.op == "call_module")
    except TraceError as exc:  # a forward pass that branches on its input can't be traced, and stays as it is
        logger.info("batch normalisation is not folded: %s", exc)
        return network
    if any(calls[name] > 1 for name in normalisations):
        return network  # `fuse` would fold it once for each call
    return fuse(network)


class Eager:
    """(N, ...) on the processor -> the network's output, float32, on the processor.

    Runs a copy of the network with `precision` "bf16" or "fp32" and, for images, channels last; the network itself
    stays as it is for explanations, whose gradients need float32. Of "int8", which only a program has, it is the
    fallback, in float32.
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
            batch = batch.pin_memory()  # otherwise the copy would block
        dtype = self.dtype if batch.is_floating_point() else batch.dtype
        layout = self.layout if batch.dim() == 4 else torch.preserve_format
        batch = batch.to(self.device, dtype, non_blocking=True, memory_format=layout)
        output: Tensor = self.network(batch)
        return output.float().cpu()
