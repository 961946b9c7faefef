"""The same network in PyTorch: a peer for backbones that have no installable one."""

from typing import Any

import keras
import torch
from torch import nn
from torch.nn import functional

from facezoo.layers import L2Pooling2D, LocalResponseNormalization, ScaledAdd


class TorchGraph(nn.Module):
    """A functional Keras backbone, layer by layer as PyTorch's own, then average and dense.

    Args:
        backbone: Functional Keras model whose layers have one input node each.
        embedding_dim: Length of the output.
    """

    def __init__(self, backbone: keras.Model, embedding_dim: int) -> None:
        super().__init__()
        self.steps = []
        for index, layer in enumerate(backbone.layers):
            if isinstance(layer, keras.layers.InputLayer):
                self.start = id(layer.output)
                continue
            module = _module(layer)
            self.add_module(f"step{index}", module)
            inputs = layer.input if isinstance(layer.input, list) else [layer.input]
            self.steps.append((module, [id(one) for one in inputs], id(layer.output)))
        self.dense = nn.Linear(backbone.output_shape[-1], embedding_dim)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Images [B, 3, H, W] to unit embeddings."""
        value = {self.start: image}
        for module, inputs, output in self.steps:
            value[output] = module(*(value[one] for one in inputs))
        features = self.dense(value[output].mean(dim=(2, 3)))
        return functional.normalize(features)


class _Call(nn.Module):
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return self.function(*inputs)


def _module(layer: keras.layers.Layer) -> nn.Module:
    for kind, make in _MODULES.items():
        if isinstance(layer, kind):
            return make(layer)
    raise TypeError(f"No PyTorch counterpart for {type(layer).__name__}.")


def _padding(layer: Any, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Zeros left, right, top, bottom that make a layer SAME."""
    if layer.padding == "valid":
        return (0, 0, 0, 0)
    found = []
    for length, window, stride in zip(layer.input.shape[1:3], size, layer.strides, strict=True):
        total = max((-(-length // stride) - 1) * stride + window - length, 0)
        found.append((total // 2, total - total // 2))
    return (*found[1], *found[0])


def _conv(layer: keras.layers.Conv2D) -> nn.Module:
    left, right, top, bottom = _padding(layer, layer.kernel_size)
    channels = layer.input.shape[-1]
    even = left == right and top == bottom
    conv = nn.Conv2d(
        channels,
        layer.output.shape[-1],
        layer.kernel_size,
        layer.strides,
        padding=(top, left) if even else 0,
        groups=channels if isinstance(layer, keras.layers.DepthwiseConv2D) else 1,
        bias=layer.use_bias,
    )
    return conv if even else nn.Sequential(nn.ZeroPad2d((left, right, top, bottom)), conv)


def _max_pool(layer: keras.layers.MaxPooling2D) -> nn.Module:
    left, right, top, bottom = _padding(layer, layer.pool_size)
    if left == right and top == bottom:
        return nn.MaxPool2d(layer.pool_size, layer.strides, (top, left))
    # Rounding up puts the odd column where SAME has it.
    return nn.MaxPool2d(layer.pool_size, layer.strides, (top, left), ceil_mode=True)


def _l2_pool(layer: L2Pooling2D) -> nn.Module:
    size, edge = layer.pool_size, layer.pool_size // 2 if layer.padding == "same" else 0
    return _Call(
        lambda x: (functional.avg_pool2d(x * x, size, layer.strides, edge) * size**2 + 1e-12).sqrt()
    )


def _zeros(layer: keras.layers.ZeroPadding2D) -> nn.Module:
    (top, bottom), (left, right) = layer.padding
    return nn.ZeroPad2d((left, right, top, bottom))


_MODULES = {
    keras.layers.Conv2D: _conv,
    keras.layers.DepthwiseConv2D: _conv,
    keras.layers.BatchNormalization: lambda one: nn.BatchNorm2d(
        one.input.shape[-1], one.epsilon, affine=bool(one.scale)
    ),
    keras.layers.Activation: lambda one: nn.ReLU(),
    keras.layers.PReLU: lambda one: nn.PReLU(one.input.shape[-1]),
    keras.layers.MaxPooling2D: _max_pool,
    keras.layers.AveragePooling2D: lambda one: nn.AvgPool2d(3, 1, 1, count_include_pad=False),
    keras.layers.ZeroPadding2D: _zeros,
    keras.layers.Add: lambda one: _Call(torch.add),
    keras.layers.Concatenate: lambda one: _Call(lambda *maps: torch.cat(maps, 1)),
    ScaledAdd: lambda one: _Call(lambda x, y: x + one.scale * y),
    L2Pooling2D: _l2_pool,
    LocalResponseNormalization: lambda one: nn.LocalResponseNorm(
        one.size, one.alpha, one.beta, one.bias
    ),
}
