"""The DCGAN pair: shapes, and names of weights that fit checkpoints of PyTorch's example."""

from __future__ import annotations

import pytest
import torch

from gantandem import GAN, MALA, Normal, sample
from gantandem.nets import build


def dcgan(**options) -> dict[str, torch.nn.Module]:
    roles = ("generator", "discriminator")
    given = {"generator": options, "discriminator": {"filters": options.get("filters", 64)}}
    return {role: build({"net": f"dcgan-{role}", **given[role]}) for role in roles}


@pytest.mark.parametrize(
    ("role", "shapes"),
    [
        (
            "generator",
            {
                "main.0.weight": (100, 512, 4, 4),
                "main.3.weight": (512, 256, 4, 4),
                "main.6.weight": (256, 128, 4, 4),
                "main.9.weight": (128, 64, 4, 4),
                "main.10.running_var": (64,),
                "main.12.weight": (64, 3, 4, 4),
            },
        ),
        (
            "discriminator",
            {
                "main.0.weight": (64, 3, 4, 4),
                "main.2.weight": (128, 64, 4, 4),
                "main.5.weight": (256, 128, 4, 4),
                "main.8.weight": (512, 256, 4, 4),
                "main.9.running_var": (512,),
                "main.11.weight": (1, 512, 4, 4),
            },
        ),
    ],
)
def test_weights_are_named_and_shaped_as_in_the_example(role, shapes):
    state = dcgan()[role].state_dict()
    convolutions = {name for name, value in state.items() if value.dim() == 4}
    assert convolutions == {name for name, shape in shapes.items() if len(shape) == 4}
    assert {name: tuple(state[name].shape) for name in shapes} == shapes


def test_latents_become_images_and_images_logits():
    nets = dcgan(filters=4)
    z = torch.randn(2, 100, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        x = nets["generator"].eval()(z)
        assert x.shape == (2, 3, 64, 64) and float(x.abs().max()) <= 1
        assert torch.equal(x, nets["generator"](z[:, :, None, None]))
        assert nets["discriminator"].eval()(x).shape == (2,)


def test_a_chain_in_the_latent_of_a_dcgan():
    nets = dcgan(filters=2, latent_dim=8)
    gan = GAN(nets["generator"], nets["discriminator"], Normal(8))
    out = sample(gan, MALA(steps=2, step_size=0.1), 20, width=16, progress=False)
    assert out.x.shape == (20, 3, 64, 64) and out.manifest["passes"] == 20 * 3 * 3
