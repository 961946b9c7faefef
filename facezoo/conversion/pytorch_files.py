"""Reads PyTorch checkpoints: tensors only, never the objects that a pickle may bring along."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

# Where training loops keep the network among optimisers and counters, most specific first.
_NETWORKS = ("state_dict_backbone", "net_state_dict", "state_dict", "model_state_dict", "model")
# What wrappers put before every name: torch.nn.DataParallel, torch.compile.
_WRAPPERS = ("module.", "_orig_mod.")


def read(path: Path) -> dict[str, np.ndarray]:
    """Reads a state dict, or the checkpoint around one.

    Args:
        path: Written by `torch.save`.

    Returns:
        float32 arrays by name, without the prefixes of wrappers.

    Raises:
        ValueError: PyTorch is not installed, or the file is damaged, holds objects besides tensors,
            or holds no state dict.
    """
    state = _state_dict(_load(path), path)
    for wrapper in _WRAPPERS:
        if all(name.startswith(wrapper) for name in state):
            state = {name.removeprefix(wrapper): tensor for name, tensor in state.items()}
    return {name: tensor.detach().float().numpy() for name, tensor in state.items()}


def _load(path: Path) -> Any:
    try:
        import torch
    except ImportError as error:
        raise ValueError(
            f"{path} is a PyTorch file, and PyTorch is not installed. "
            'Install it: pip install "facezoo[backends]".'
        ) from error
    try:
        with warnings.catch_warnings():
            # About old formats; what cannot be read is an error below.
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # On foreign bytes the loader raises whatever the byte at hand leads to.
        raise ValueError(
            f"{path} cannot be read as PyTorch weights: it is damaged, or holds Python objects "
            "besides tensors, which could run code and are never loaded. "
            "Copy it again, or save `model.state_dict()` alone."
        ) from error


def _state_dict(content: Any, path: Path) -> Mapping[str, Any]:
    if _holds_tensors(content):
        return content
    nested = content if isinstance(content, Mapping) else {}
    found = {name: value for name, value in nested.items() if _holds_tensors(value)}
    for name in (*_NETWORKS, *(found if len(found) == 1 else ())):
        if name in found:
            return found[name]
    raise ValueError(
        f"{path} holds no state dict. Expected: tensors by name, or such a mapping as one of "
        f"{', '.join(_NETWORKS)}. Received: {_describe(content)}."
    )


def _holds_tensors(content: Any) -> bool:
    import torch

    return (
        isinstance(content, Mapping)
        and len(content) > 0
        and all(isinstance(name, str) for name in content)
        and all(isinstance(value, torch.Tensor) for value in content.values())
    )


def _describe(content: Any) -> str:
    if isinstance(content, Mapping):
        return f"a mapping of {', '.join(str(name) for name in content) or 'nothing'}"
    return f"a {type(content).__name__}"
