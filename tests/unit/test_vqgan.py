"""The tokenizer's contract at any size; its numbers are held to the public code's in tests/numerics."""

import pytest
import torch

from engine.config import VqganConfig
from engine.vqgan import AttentionBlock, Downsample, Vqgan

PUBLISHED_SHAPE = VqganConfig(codes=32, code_width=8, z_channels=8, ch=32, ch_mult=(1, 1, 1, 1, 1), res_blocks=1)
FOLDED = VqganConfig(codes=32, code_width=8, z_channels=8, ch=32, ch_mult=(1, 1, 1), res_blocks=1, stem=4)


@pytest.fixture(params=[PUBLISHED_SHAPE, FOLDED], ids=["published", "folded"])
def vqgan(request: pytest.FixtureRequest) -> Vqgan:
    torch.manual_seed(0)
    return Vqgan(request.param).eval().requires_grad_(False)


def test_one_code_for_each_patch(vqgan: Vqgan) -> None:
    pixels = torch.rand(2, 3, 64, 32) * 2 - 1
    assert vqgan.latents(pixels).shape == (2, 8, 4, 2)
    codes = vqgan.encode(pixels)
    assert codes.shape == (2, 8)
    assert vqgan.decode(codes, 4, 2).shape == (2, 3, 64, 32)


def test_codes_are_the_nearest_rows_of_the_codebook(vqgan: Vqgan) -> None:
    latents = torch.randn(1, 8, 3, 3)
    by_hand = torch.cdist(latents.flatten(2).transpose(1, 2), vqgan.codebook[None]).square()
    assert torch.allclose(vqgan.distances(latents), by_hand, atol=1e-3)


def test_codes_are_row_major(vqgan: Vqgan) -> None:
    vectors = torch.arange(6.0)[None, :, None].expand(1, 6, 8).contiguous()
    seen: list[torch.Tensor] = []
    handle = vqgan.post_quant_conv.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    vqgan.decode_vectors(vectors, 2, 3)
    handle.remove()
    assert seen[0][0, 0].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_pixels_lie_between_0_and_1(vqgan: Vqgan) -> None:
    pixels = vqgan.decode_vectors(torch.randn(1, 16, 8) * 100, 4, 4)
    assert float(pixels.min()) >= 0
    assert float(pixels.max()) <= 1


def test_strided_convolutions_pad_right_and_bottom_only() -> None:
    layer = Downsample(1)
    torch.nn.init.ones_(layer.conv.weight)
    torch.nn.init.zeros_(layer.conv.bias)
    assert layer(torch.ones(1, 1, 4, 4)).tolist() == [[[[9.0, 6.0], [6.0, 4.0]]]]


def test_attention_stands_where_the_nominal_resolution_says() -> None:
    with_attention = Vqgan(PUBLISHED_SHAPE)
    assert [len(level.attn) for level in with_attention.encoder.down] == [0, 0, 0, 0, 1]
    assert [len(level.attn) for level in with_attention.decoder.up] == [0, 0, 0, 0, 2]


def test_attention_does_not_mix_rows() -> None:
    torch.manual_seed(0)
    block = AttentionBlock(32).eval()
    x = torch.randn(2, 32, 4, 4)
    assert torch.allclose(block(x)[1:], block(x[1:]), atol=1e-6)


def test_attention_over_many_channels_stays_finite_in_float16() -> None:
    """A product of 512 channels exceeds float16 where it is scaled only afterwards."""
    torch.manual_seed(0)
    block = AttentionBlock(512).eval()
    with torch.no_grad():
        for layer in (block.q, block.k):
            layer.weight.copy_(12 * torch.eye(512)[..., None, None])
        x = torch.randn(1, 512, 4, 4)
        wanted = block(x)
        q = block.q(block.norm(x)).flatten(2)
        assert (q.transpose(1, 2) @ q).max() > torch.finfo(torch.float16).max
        found = block.half()(x.half())
    assert torch.isfinite(found).all()
    assert torch.allclose(found.float(), wanted, atol=0.02)
