"""Networks as their authors wrote them, without Keras: what converted models must equal."""

import importlib
import importlib.util
import itertools
import re
import sys
import types

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1


def unit(features):
    return features / np.linalg.norm(features, axis=1, keepdims=True)


# === MobileFaceNet, in NumPy: images and kernels with channels first ===


def _convolve(x, kernel, strides):
    rows, columns = kernel.shape[2:]
    margin = (1, 1) if rows == columns == 3 else (0, 0)
    x = np.pad(x, ((0, 0), (0, 0), margin, margin))
    windows = np.lib.stride_tricks.sliding_window_view(x, (rows, columns), axis=(2, 3))
    windows = windows[:, :, ::strides, ::strides]
    if kernel.shape[1] == 1:
        return np.einsum("bchwij,cij->bchw", windows, kernel[:, 0])
    return np.tensordot(windows, kernel, ([1, 4, 5], [1, 2, 3])).transpose(0, 3, 1, 2)


def _normalize(x, gamma, beta, mean, variance, epsilon):
    shape = (1, -1) + (1,) * (x.ndim - 2)
    gamma, beta, mean, variance = (one.reshape(shape) for one in (gamma, beta, mean, variance))
    return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta


def _prelu(x, slope):
    return np.where(x > 0, x, slope[:, None, None] * x)


def mobilefacenet_pytorch(arrays, image):
    """MobileFaceNet_Pytorch: image [B, 3, H, W] to unit embedding [B, D]."""

    def layer(x, conv, bn, prelu=None, strides=1):
        leaves = ("weight", "bias", "running_mean", "running_var")
        x = _convolve(x, arrays[f"{conv}.weight"], strides)
        x = _normalize(x, *(arrays[f"{bn}.{leaf}"] for leaf in leaves), 1e-5)
        return x if prelu is None else _prelu(x, arrays[f"{prelu}.weight"])

    x = layer(image, "conv1.conv", "conv1.bn", "conv1.prelu", 2)
    x = layer(x, "dw_conv1.conv", "dw_conv1.bn", "dw_conv1.prelu")
    # Table 1 of the paper.
    for index, strides in enumerate((2, 1, 1, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1, 1)):
        block = f"blocks.{index}.conv"
        y = layer(x, f"{block}.0", f"{block}.1", f"{block}.2")
        y = layer(y, f"{block}.3", f"{block}.4", f"{block}.5", strides)
        y = layer(y, f"{block}.6", f"{block}.7")
        x = x + y if strides == 1 and x.shape == y.shape else y
    x = layer(x, "conv2.conv", "conv2.bn", "conv2.prelu")
    x = layer(x, "linear7.conv", "linear7.bn")
    return unit(layer(x, "linear1.conv", "linear1.bn")[:, :, 0, 0])


def mobilefacenet_mxnet(arrays, image):
    """InsightFace's y1: image [B, 3, H, W] to unit embedding [B, D]."""

    def layer(x, name, strides=1):
        leaves = ("gamma", "beta", "moving_mean", "moving_var")
        x = _convolve(x, arrays[f"{name}_conv2d_weight"], strides)
        x = _normalize(x, *(arrays[f"{name}_batchnorm_{leaf}"] for leaf in leaves), 1e-3)
        return _prelu(x, arrays[f"{name}_relu_gamma"]) if f"{name}_relu_gamma" in arrays else x

    x = layer(layer(image, "conv_1", 2), "conv_2_dw")
    for name, strides in y1_blocks(arrays):
        y = layer(
            layer(layer(x, f"{name}_conv_sep"), f"{name}_conv_dw", strides), f"{name}_conv_proj"
        )
        x = x + y if strides == 1 else y
    x = layer(layer(x, "conv_6sep"), "conv_6dw7_7")[:, :, 0, 0]
    x = x @ arrays["fc1_weight"].T + arrays["pre_fc1_bias"]
    moments = (arrays[f"fc1_{leaf}"] for leaf in ("beta", "moving_mean", "moving_var"))
    # `fix_gamma`: 1, whatever the file says.
    return unit(_normalize(x, np.ones(x.shape[1]), *moments, 2e-5))


def y1_blocks(arrays):
    """Yields (name, strides) of y1's blocks in the order of the network."""
    for stage in (3, 4, 5):
        if f"dconv_{stage - 1}{stage}_conv_sep_conv2d_weight" not in arrays:
            return
        yield f"dconv_{stage - 1}{stage}", 2
        for block in itertools.count():
            if f"res_{stage}_block{block}_conv_sep_conv2d_weight" not in arrays:
                break
            yield f"res_{stage}_block{block}", 1


def small_y1(random):
    """Random arrays of a y1 with two stages, for images of 32 x 24 pixels."""
    arrays = {}

    def layer(name, outputs, inputs, size=(1, 1), relu=True):
        arrays[f"{name}_conv2d_weight"] = _kernel(random, outputs, inputs, *size)
        for leaf, values in _moments(random, outputs).items():
            arrays[f"{name}_batchnorm_{leaf}"] = values
        if relu:
            arrays[f"{name}_relu_gamma"] = random.uniform(0.1, 0.4, outputs)

    def block(name, inputs, wide, outputs):
        layer(f"{name}_conv_sep", wide, inputs)
        layer(f"{name}_conv_dw", wide, 1, (3, 3))
        layer(f"{name}_conv_proj", outputs, wide, relu=False)

    layer("conv_1", 8, 3, (3, 3))
    layer("conv_2_dw", 8, 1, (3, 3))
    for name in ("dconv_23", "res_3_block0", "res_3_block1"):
        block(name, 8, 16, 8)
    block("dconv_34", 8, 32, 12)
    block("res_4_block0", 12, 24, 12)
    layer("conv_6sep", 20, 12)
    layer("conv_6dw7_7", 20, 1, (4, 3), relu=False)
    arrays["fc1_weight"] = _kernel(random, 6, 20)
    arrays["pre_fc1_bias"] = random.normal(0, 0.4, 6)
    arrays |= {f"fc1_{leaf}": values for leaf, values in _moments(random, 6).items()}
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def _kernel(random, outputs, *inputs):
    # Of a size that the small variances below lift back to about 1.
    return random.normal(0, 0.3 / np.prod(inputs) ** 0.5, (outputs, *inputs))


def _moments(random, size):
    return {
        "gamma": random.uniform(0.5, 1.5, size),
        "beta": random.normal(0, 0.2, size),
        "moving_mean": random.normal(0, 0.2, size),
        # Small enough for the epsilon to count.
        "moving_var": random.uniform(0.01, 0.1, size),
    }


# === Inception-ResNet-v1 of davidsandberg/facenet, as a graph of TensorFlow 1 ===


def _variable(name, shape, low, high):
    initializer = v1.random_uniform_initializer(low, high)
    return v1.get_variable(name, shape, initializer=initializer, use_resource=False)


def _batch_norm(x):
    size = [x.shape[-1]]
    with v1.variable_scope("BatchNorm"):
        beta = _variable("beta", size, -0.2, 0.2)
        mean = _variable("moving_mean", size, -0.2, 0.2)
        variance = _variable("moving_variance", size, 0.5, 1.5)
    return tf.nn.batch_normalization(x, mean, variance, beta, None, 0.001)


def _slim_conv(x, filters, size, scope, strides=1, padding="SAME", linear=False):
    rows, columns = (size, size) if isinstance(size, int) else size
    limit = (6.0 / (rows * columns * int(x.shape[-1]))) ** 0.5
    with v1.variable_scope(scope):
        shape = [rows, columns, x.shape[-1], filters]
        x = tf.nn.conv2d(x, _variable("weights", shape, -limit, limit), strides, padding)
        if linear:
            return x + _variable("biases", [filters], -0.2, 0.2)
        return tf.nn.relu(_batch_norm(x))


def _slim_branches(x, branches):
    """Branches of (scope, filters, size) rows; rows called `1a` are strided."""
    joined = []
    for index, rows in enumerate(branches):
        y = x
        with v1.variable_scope(f"Branch_{index}"):
            for place, filters, size in rows:
                strided = (2, "VALID") if place.startswith("1a") else (1, "SAME")
                y = _slim_conv(y, filters, size, f"Conv2d_{place}", *strided)
        joined.append(y)
    return joined


def _slim_block(x, scope, branches, scale, activation=tf.nn.relu):
    with v1.variable_scope(scope):
        mixed = tf.concat(_slim_branches(x, branches), 3)
        x += scale * _slim_conv(mixed, x.shape[-1], 1, "Conv2d_1x1", linear=True)
    return activation(x)


def _slim_reduction(x, scope, branches):
    with v1.variable_scope(scope):
        pooled = tf.nn.max_pool2d(x, 3, 2, "VALID")
        return tf.concat([*_slim_branches(x, branches), pooled], 3)


_BLOCK35 = (
    [("1x1", 32, 1)],
    [("0a_1x1", 32, 1), ("0b_3x3", 32, 3)],
    [("0a_1x1", 32, 1), ("0b_3x3", 32, 3), ("0c_3x3", 32, 3)],
)
_BLOCK17 = (
    [("1x1", 128, 1)],
    [("0a_1x1", 128, 1), ("0b_1x7", 128, (1, 7)), ("0c_7x1", 128, (7, 1))],
)
_BLOCK8 = (
    [("1x1", 192, 1)],
    [("0a_1x1", 192, 1), ("0b_1x3", 192, (1, 3)), ("0c_3x1", 192, (3, 1))],
)
_MIXED_6A = (
    [("1a_3x3", 384, 3)],
    [("0a_1x1", 192, 1), ("0b_3x3", 192, 3), ("1a_3x3", 256, 3)],
)
_MIXED_7A = (
    [("0a_1x1", 256, 1), ("1a_3x3", 384, 3)],
    [("0a_1x1", 256, 1), ("1a_3x3", 256, 3)],
    [("0a_1x1", 256, 1), ("0b_3x3", 256, 3), ("1a_3x3", 256, 3)],
)


def slim_inception_resnet_v1(image, embedding_dim):
    """Adds the network to the default graph: image [B, 160, 160, 3] to unit embedding."""
    with v1.variable_scope("InceptionResnetV1"):
        x = _slim_conv(image, 32, 3, "Conv2d_1a_3x3", 2, "VALID")
        x = _slim_conv(x, 32, 3, "Conv2d_2a_3x3", 1, "VALID")
        x = _slim_conv(x, 64, 3, "Conv2d_2b_3x3")
        x = tf.nn.max_pool2d(x, 3, 2, "VALID")
        x = _slim_conv(x, 80, 1, "Conv2d_3b_1x1")
        x = _slim_conv(x, 192, 3, "Conv2d_4a_3x3", 1, "VALID")
        x = _slim_conv(x, 256, 3, "Conv2d_4b_3x3", 2, "VALID")
        for number in range(1, 6):
            x = _slim_block(x, f"Repeat/block35_{number}", _BLOCK35, 0.17)
        x = _slim_reduction(x, "Mixed_6a", _MIXED_6A)
        for number in range(1, 11):
            x = _slim_block(x, f"Repeat_1/block17_{number}", _BLOCK17, 0.10)
        x = _slim_reduction(x, "Mixed_7a", _MIXED_7A)
        for number in range(1, 6):
            x = _slim_block(x, f"Repeat_2/block8_{number}", _BLOCK8, 0.20)
        x = _slim_block(x, "Block8", _BLOCK8, 1.0, tf.identity)
        x = tf.reduce_mean(x, [1, 2])
        with v1.variable_scope("Bottleneck"):
            x = _batch_norm(x @ _variable("weights", [x.shape[-1], embedding_dim], -0.05, 0.05))
    return tf.nn.l2_normalize(x, 1, 1e-10, name="embeddings")


def keras_name(slim_name):
    """What the Keras port calls a variable of the slim network."""
    name = re.sub(r"^InceptionResnetV1/(Repeat(_\d)?/)?", "", slim_name)
    name = name.replace("Block8/", "Block8_6/").replace("block", "Block").replace("/", "_")
    return name.replace("weights", "kernel").replace("biases", "bias")


# === In PyTorch ===


def randomize(network):
    """Gives a PyTorch network numbers that let the image through, and its normalisations others."""
    import torch

    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            torch.nn.init.kaiming_normal_(module.weight)
        elif isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(module.bias, -0.2, 0.2)
            if module.weight.requires_grad:
                torch.nn.init.uniform_(module.weight, 0.5, 1.5)
        elif isinstance(module, torch.nn.PReLU):
            torch.nn.init.uniform_(module.weight, 0.1, 0.4)


def facenet_pytorch_network():
    """facenet-pytorch's network with random weights, or None where that is not installed.

    Not by `import facenet_pytorch`: the package's detector needs torchvision.
    """
    package = importlib.util.find_spec("facenet_pytorch")
    if package is None or importlib.util.find_spec("torch") is None:
        return None
    bare = types.ModuleType("facenet_pytorch")
    bare.__path__ = list(package.submodule_search_locations)
    sys.modules["facenet_pytorch"] = bare
    try:
        module = importlib.import_module("facenet_pytorch.models.inception_resnet_v1")
    finally:
        del sys.modules["facenet_pytorch"]
    network = module.InceptionResnetV1(pretrained=None, classify=False).eval()
    randomize(network)
    return network


def insightface_iresnet(depths):
    """Insightface's iresnet with random weights: image [B, 3, 112, 112] to features [B, 512]."""
    import torch
    from torch import nn

    def conv(inputs, outputs, size, strides):
        return nn.Conv2d(inputs, outputs, size, strides, padding=size // 2, bias=False)

    class Block(nn.Module):
        def __init__(self, inputs, outputs, strides):
            super().__init__()
            self.bn1 = nn.BatchNorm2d(inputs)
            self.conv1 = conv(inputs, outputs, 3, 1)
            self.bn2 = nn.BatchNorm2d(outputs)
            self.prelu = nn.PReLU(outputs)
            self.conv2 = conv(outputs, outputs, 3, strides)
            self.bn3 = nn.BatchNorm2d(outputs)
            self.downsample = None
            if strides > 1:
                shortcut = conv(inputs, outputs, 1, strides)
                self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(outputs))

        def forward(self, x):
            y = self.prelu(self.bn2(self.conv1(self.bn1(x))))
            shortcut = x if self.downsample is None else self.downsample(x)
            return self.bn3(self.conv2(y)) + shortcut

    class IResNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.bn1, self.prelu = conv(3, 64, 3, 1), nn.BatchNorm2d(64), nn.PReLU(64)
            inputs = 64
            for stage, (depth, width) in enumerate(zip(depths, (64, 128, 256, 512), strict=True)):
                blocks = [
                    Block(inputs, width, 2),
                    *(Block(width, width, 1) for _ in range(depth - 1)),
                ]
                setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
                inputs = width
            self.bn2 = nn.BatchNorm2d(512)
            self.fc = nn.Linear(512 * 7 * 7, 512)
            self.features = nn.BatchNorm1d(512)
            self.features.weight.requires_grad = False

        def forward(self, x):
            x = self.prelu(self.bn1(self.conv1(x)))
            for stage in (1, 2, 3, 4):
                x = getattr(self, f"layer{stage}")(x)
            return self.features(self.fc(torch.flatten(self.bn2(x), 1)))

    network = IResNet().eval()
    randomize(network)
    return network
