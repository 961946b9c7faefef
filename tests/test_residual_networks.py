"""Inception-ResNets and IResNet: layer names, border rules and arguments, beside the checks."""

import keras
import numpy as np
import pytest

from facezoo.backbones import InceptionResNetV1, InceptionResNetV2, IResNet
from facezoo.layers import ScaledAdd, parallel_branches, reduction_block

INCEPTIONS = (InceptionResNetV1, InceptionResNetV2)


def names(backbone):
    """Names of the layers that have weights."""
    return {layer.name for layer in backbone.layers if layer.weights}


def tiny(cls, **overrides):
    return cls(**{**cls.TINY, **overrides})


class TestScaledAdd:
    def test_equals_the_formula(self):
        shortcut, residual = np.random.default_rng(0).normal(size=(2, 3, 4)).astype("float32")
        found = ScaledAdd(0.17)([shortcut, residual])
        np.testing.assert_allclose(found, shortcut + 0.17 * residual, rtol=1e-6)

    def test_config_round_trip(self):
        again = ScaledAdd.from_config(ScaledAdd(0.17, name="add").get_config())
        assert (again.scale, again.name) == (0.17, "add")

    def test_refuses_a_scale_of_0(self):
        with pytest.raises(ValueError, match="scale must be above 0. Received: scale=0"):
            ScaledAdd(0)


class TestLayerNames:
    """Converters find weights by these names."""

    @pytest.mark.parametrize("cls", INCEPTIONS)
    def test_of_both_inception_resnets(self, cls):
        expected = {
            *("conv2d_1a_3x3_conv", "conv2d_1a_3x3_bn", "conv2d_4a_3x3_bn"),
            *("block35_1_branch_0_conv2d_1x1_conv", "block35_1_branch_2_conv2d_0c_3x3_bn"),
            *("mixed_6a_branch_0_conv2d_1a_3x3_conv", "mixed_6a_branch_1_conv2d_0b_3x3_conv"),
            *("block17_2_branch_1_conv2d_0b_1x7_conv", "block17_2_branch_1_conv2d_0c_7x1_bn"),
            *("mixed_7a_branch_2_conv2d_1a_3x3_bn", "block8_2_branch_1_conv2d_0b_1x3_conv"),
            *("block35_1_conv2d_1x1_conv", "block8_2_conv2d_1x1_conv"),
        }
        backbone = tiny(cls)
        assert expected - names(backbone) == set()
        assert {"block35_1_conv2d_1x1_bn", "block8_3_conv2d_1x1_conv"} & names(backbone) == set()
        assert backbone.get_layer("block35_1_conv2d_1x1_conv").use_bias

    def test_of_one_inception_resnet(self):
        first, second = (names(tiny(cls)) for cls in INCEPTIONS)
        assert "conv2d_4b_3x3_conv" in first - second
        assert {"mixed_5b_branch_3_conv2d_0b_1x1_conv", "conv2d_7b_1x1_bn"} <= second - first

    def test_of_iresnet(self):
        block = ("bn1", "conv1", "bn2", "prelu", "conv2", "bn3")
        expected = {"conv1", "bn1", "prelu", "layer1_0_downsample_0", "layer1_0_downsample_1"}
        expected |= {f"layer1_{index}_{layer}" for index in (0, 1) for layer in block}
        assert names(IResNet(depths=(2,), widths=(4,))) == expected


class TestBlocks:
    def test_branches_are_joined_in_order_and_the_pooled_map_last(self):
        image = keras.Input((7, 7, 3))
        # Without rows a branch is the image itself.
        x = parallel_branches(image, [(), ()], "block", pooled=2.0 * image, width=1.0)
        ones = np.ones((1, 7, 7, 3), "float32")
        channels = keras.Model(image, x)(ones)[0, 0, 0]
        np.testing.assert_array_equal(channels, [1] * 6 + [2] * 3)

    def test_reduction_takes_the_largest_of_whole_windows(self):
        image = keras.Input((6, 7, 1))
        network = keras.Model(image, reduction_block(image, [], "block", width=1.0))
        pixels = np.arange(42, dtype="float32").reshape(1, 6, 7, 1)
        found = network(pixels)[0, :, :, 0]
        np.testing.assert_array_equal(found, [[16, 18, 20], [30, 32, 34]])

    def test_average_pooling_leaves_the_padding_out(self):
        pool = tiny(InceptionResNetV2).get_layer("mixed_5b_pool")
        np.testing.assert_array_equal(pool(np.ones((1, 3, 4, 2), "float32")), 1.0)


class TestIResNetPadding:
    def strided(self, padding):
        """What a strided convolution, all its weights 1, makes of ones: how many it sees."""
        network = IResNet((1,), (1,), padding, (10, 10, 3))
        layer = network.get_layer("layer1_0_conv2")
        layer.kernel.assign(np.ones(layer.kernel.shape))
        before = layer.input if padding == "same" else network.get_layer("layer1_0_conv2_pad").input
        return keras.Model(before, layer.output)(np.ones((1, 10, 10, 1), "float32"))[0, :, :, 0]

    def test_symmetric_puts_the_zeros_at_the_top_left(self):
        np.testing.assert_array_equal(self.strided("symmetric")[0], [4, 6, 6, 6, 6])

    def test_same_puts_the_zeros_at_the_bottom_right(self):
        np.testing.assert_array_equal(self.strided("same")[-1], [6, 6, 6, 6, 4])


class TestArguments:
    @pytest.mark.parametrize("cls", INCEPTIONS)
    def test_gamma_is_optional(self, cls):
        for scale, weights in ((False, 3), (True, 4)):
            backbone = tiny(cls, batch_norm_scale=scale)
            assert len(backbone.get_layer("conv2d_2b_3x3_bn").weights) == weights

    @pytest.mark.parametrize("cls", INCEPTIONS)
    @pytest.mark.parametrize("repeats", [(1, 1), (1, -1, 1), (1, 1.5, 1)])
    def test_refuses_repeats(self, cls, repeats):
        with pytest.raises(ValueError, match="repeats must be three whole numbers .* Received"):
            tiny(cls, repeats=repeats)

    @pytest.mark.parametrize("cls", INCEPTIONS)
    def test_refuses_a_width_of_0(self, cls):
        with pytest.raises(ValueError, match="width must be above 0; .* Received: width=0"):
            tiny(cls, width=0)

    @pytest.mark.parametrize(
        ("overrides", "message"),
        [
            ({"padding": "valid"}, '"symmetric" or "same". Received: \'valid\''),
            ({"depths": (1, 1, 1)}, "one number of at least 1 for each stage. Received: depths="),
            ({"depths": (1, 0)}, "one number of at least 1 for each stage. Received: depths="),
            ({"depths": (), "widths": ()}, "one number of at least 1 for each stage"),
        ],
    )
    def test_iresnet_refuses(self, overrides, message):
        with pytest.raises(ValueError, match=message):
            tiny(IResNet, **overrides)

    @pytest.mark.parametrize(
        ("cls", "overrides", "smallest"),
        [
            (InceptionResNetV1, {}, 75),
            (InceptionResNetV2, {}, 75),
            (IResNet, {"depths": (1, 1, 1, 1), "widths": (4, 4, 4, 4)}, 9),
        ],
    )
    def test_smallest_image(self, cls, overrides, smallest):
        shape = tiny(cls, image_shape=(smallest, smallest, 3), **overrides).output_shape
        assert shape[1:3] == (1, 1)
        with pytest.raises(ValueError, match=f"at least {smallest} pixels a side"):
            tiny(cls, image_shape=(smallest - 1, smallest, 3), **overrides)
