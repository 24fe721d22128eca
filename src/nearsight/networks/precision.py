"""Which precision the hidden matrix products run in, and the rule behind ``auto``.

With bfloat16 the factors of the hidden products are rounded to 8 bits of mantissa and summed in
float32; weights, optimiser state, last layer, loss and target stay float32. On a processor with
bfloat16 instructions that trains a 3×128 perceptron two to three times faster at the same validation
error, and predicts three to four times faster with a rounding of the density a hundred times smaller than a
good model's error: measured by ``benchmarks/training.py``, figures in ``benchmarks/README.md``.
Without such instructions bfloat16 is emulated and slow, so ``auto`` stays with float32 there.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch

from nearsight.errors import InputError

Precision = Literal["auto", "float32", "bfloat16"]


def bfloat16_is_fast(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 in hardware."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    features = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(features.get("avx512_bf16") or features.get("amx_bf16") or features.get("bf16"))


def resolve_precision(precision: Precision, device: torch.device) -> Literal["float32", "bfloat16"]:
    """``auto`` turned into what it means on `device`."""
    if precision == "auto":
        return "bfloat16" if bfloat16_is_fast(device) else "float32"
    if precision not in ("float32", "bfloat16"):
        raise InputError(f"precision is auto, float32 or bfloat16, not '{precision}'")
    return precision


def hidden_products(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """A context in which a network's hidden products run in `precision`."""
    if resolve_precision(precision, device) == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def resolve_device(device: str) -> torch.device:
    """``auto``, ``cpu`` or ``cuda`` as a device.

    Raises
    ------
    InputError
        Another name, or ``cuda`` where PyTorch sees no GPU.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise InputError(f"device is auto, cpu or cuda, not '{device}'")
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise InputError("device cuda asked for, but PyTorch sees no GPU; use --device cpu")
    return torch.device("cuda" if device != "cpu" and available else "cpu")
