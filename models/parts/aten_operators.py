"""Operators that an exported program may call: ATen's core set, what networks need beside it, and a few on numbers.

This is a list of what is allowed, since many of ATen's operators open files, uncover memory that nothing was written
to, or trust their arguments (sparse constructors, packed weights). The core set is described in
https://docs.pytorch.org/docs/stable/torch.compiler_ir.html
"""

import math
import operator
import re
from collections.abc import Callable
from functools import cache
from typing import Any

import torch

ATEN = re.compile(r"torch\.ops\.aten\.(_?[a-z]\w*)\.([A-Za-z]\w*)")
# Of the core set, those that uncover memory.
REFUSED = {"empty", "empty_strided", "resize_"}
BESIDE = """
    conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d linear bilinear matmul baddbmm addmv mv
    dot outer inner tensordot einsum linalg_vector_norm linalg_norm norm cosine_similarity cdist frobenius_norm
    batch_norm layer_norm group_norm instance_norm rms_norm native_batch_norm _native_batch_norm_legit_functional
    relu6 prelu rrelu selu celu silu mish hardswish hardsigmoid hardshrink softshrink softplus log_sigmoid glu
    threshold softmax log_softmax logit logsumexp logaddexp xlogy
    dropout feature_dropout alpha_dropout feature_alpha_dropout
    max_pool1d max_pool2d max_pool3d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d
    upsample_nearest1d upsample_nearest3d upsample_linear1d upsample_bicubic2d upsample_trilinear3d
    _upsample_bilinear2d_aa _upsample_bicubic2d_aa grid_sampler grid_sampler_3d affine_grid_generator pad
    replication_pad1d pixel_shuffle pixel_unshuffle channel_shuffle native_channel_shuffle im2col
    scaled_dot_product_attention _scaled_dot_product_flash_attention_for_cpu
    reshape reshape_as view_as _unsafe_view expand_as flatten unflatten ravel transpose t adjoint permute_copy
    movedim moveaxis swapaxes swapdims numpy_T mT contiguous alias_copy detach lift_fresh_copy lift_fresh narrow
    unfold roll rot90
    chunk split tensor_split unsafe_chunk unsafe_split unbind stack hstack vstack dstack concat concatenate tile
    repeat_interleave squeeze_copy unsqueeze_copy atleast_1d atleast_2d atleast_3d broadcast_to broadcast_tensors
    meshgrid tril triu diag_embed block_diag diff
    to type_as ones zeros ones_like zeros_like new_ones new_zeros new_full rand_like randn_like linspace eye one_hot
    zero masked_fill take take_along_dim argsort kthvalue mode median unique_dim count_nonzero index_add index_fill
    index_copy clamp_min clamp_max clip square rsub floor_divide true_divide divide multiply subtract negative
    absolute exp2 frac lerp addcmul addcdiv hypot sinc erfc erfinv deg2rad all isfinite isclose allclose nan_to_num
    heaviside sgn bitwise_left_shift bitwise_right_shift greater greater_equal less less_equal not_equal
    std std_mean var_mean aminmax nanmean nansum cumprod cummax cummin fake_quantize_per_tensor_affine
    fft_fft fft_ifft fft_fft2 fft_ifft2 fft_rfft fft_irfft fft_rfft2 fft_irfft2 fft_fftn fft_ifftn fft_rfftn
    fft_irfftn fft_fftshift fft_ifftshift view_as_real view_as_complex real imag complex polar angle conj
    resolve_conj
    item _assert_scalar _assert_tensor_metadata sym_constrain_range sym_constrain_range_for_size
"""
ALLOWED = frozenset(BESIDE.split())
# Operators of sizes, which are Python numbers.
NUMBERS: dict[str, Callable[..., Any]] = {
    **{f"_operator.{name}": getattr(operator, name) for name in ("add", "sub", "mul", "floordiv", "truediv", "mod")},
    **{f"_operator.{name}": getattr(operator, name) for name in ("neg", "eq", "ne", "lt", "le", "gt", "ge")},
    **{f"torch.{name}": getattr(torch, name) for name in ("sym_int", "sym_float", "sym_max", "sym_min", "sym_not")},
    "math.trunc": math.trunc,
}


def found(target: str) -> Callable[..., Any]:
    """Return the operator of a name, such as torch.ops.aten.relu_.default. Raises ValueError if it is not allowed."""
    if target in NUMBERS:
        return NUMBERS[target]
    name, overload = match.groups() if (match := ATEN.fullmatch(target)) else ("", "")
    # TorchScript adds operators to this namespace, such as aten::save, that the dispatcher does not have.
    if is_allowed(name) and torch._C._dispatch_has_kernel(f"aten::{name}.{overload}".removesuffix(".default")):
        one: torch._ops.OpOverload = getattr(getattr(torch.ops.aten, name), overload)
        return one
    hint = "; program.run_decompositions() may replace it" if target.startswith("torch.ops.higher_order.") else ""
    raise ValueError(f"the operator {target} is not served{hint}")


@cache
def is_allowed(name: str) -> bool:
    """Return whether an operator is in the core set, or allowed beside it; its form in place is, too.

    >>> is_allowed("relu_"), is_allowed("from_file")
    (True, False)
    """
    plain = name.removesuffix("_")
    if {name, plain} & REFUSED:
        return False
    if {name, plain} & ALLOWED:
        return True
    packet = getattr(torch.ops.aten, plain, None) if plain else None
    if not isinstance(packet, torch._ops.OpOverloadPacket):
        return False
    overloads = packet.overloads()  # type: ignore[no-untyped-call]
    return any(torch.Tag.core in getattr(packet, each).tags for each in overloads)
