"""Weights in the files of others: found whatever is around them, or refused with what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from gantandem.errors import WeightsError
from gantandem.nets import build, save_weights
from gantandem.nets.foreign import find_architecture, load_foreign, read_weights

G = {"net": "dcgan-generator-32", "latent_dim": 5, "filters": 2}
D = {"net": "dcgan-discriminator-32", "filters": 2}


def state(spec: dict = G, seed: int = 0) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return build(spec).state_dict()


def under(prefix: str, weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {f"{prefix}{name}": value for name, value in weights.items()}


GEN, AVERAGE, DISC = state(G), state(G, 1), state(D, 2)
MOMENTS = {"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 1e-4}]}
# What the saving code of each writes, and whether the averaged weights are in it.
LAYOUTS = {
    "bare": (GEN, False),
    "studiogan": ({"state_dict": GEN, "optimizer": MOMENTS, "step": 3, "best_fid": 9.5}, False),
    "mimicry": (
        {"model_state_dict": GEN, "optimizer_state_dict": MOMENTS, "global_step": 7},
        False,
    ),
    "two": ({"netG": GEN, "netD": DISC, "epoch": 1}, False),
    "rosinality": (
        {"g": GEN, "d": DISC, "g_ema": AVERAGE, "g_optim": MOMENTS, "d_optim": MOMENTS},
        True,
    ),
    "zoo": ({"config": {"size": 4}, "netG": GEN, "netD": DISC, "avgG": AVERAGE}, True),
    "hifigan": ({"generator": GEN}, False),
    "lightning": (
        {
            "state_dict": under("generator.", GEN) | under("discriminator.", DISC),
            "optimizer_states": [MOMENTS],
            "pytorch-lightning_version": "2.1",
        },
        False,
    ),
    "lucidrains": (
        {"GAN": under("G.", GEN) | under("D.", DISC) | under("GE.", AVERAGE), "version": "1"},
        True,
    ),
    "basicsr": ({"params": GEN, "params_ema": AVERAGE}, True),
    "named": ({"generator_state_dict": GEN, "discriminator_state_dict": DISC}, False),
    "parallel": (under("module.", GEN), False),
    "compiled": (under("module._orig_mod.", GEN), False),
    "inside": ({"model": {"netG": under("_orig_mod.", GEN), "netD": DISC}}, False),
    "role": (under("generator.", GEN), False),
    "wrapper": (under("model.", GEN), False),
    "unknown": ({"weights_of_march": GEN, "optimizer": MOMENTS}, False),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_generator_is_found_in_every_published_layout(layout: str, tmp_path: Path) -> None:
    content, averaged = LAYOUTS[layout]
    path = tmp_path / "checkpoint.pth"
    torch.save(content, path)
    network = build(G)
    notes = load_foreign(network, path, "generator")
    expected = AVERAGE if averaged else GEN
    assert torch.equal(network.main[0].weight, expected["main.0.weight"])
    assert any("averaged weights" in note for note in notes) == averaged
    assert find_architecture(path, "generator") == G
    if layout != "wrapper":  # which only a network can tell from its own name
        assert read_weights(path, "generator")[0].keys() == GEN.keys()


@pytest.mark.parametrize("layout", ["two", "rosinality", "zoo", "lightning", "lucidrains", "named"])
def test_the_discriminator_is_found_beside_it(layout: str, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pth"
    torch.save(LAYOUTS[layout][0], path)
    network = build(D)
    assert load_foreign(network, path, "discriminator") == ()
    assert torch.equal(network.main[0].weight, DISC["main.0.weight"])
    assert find_architecture(path, "discriminator") == D


def test_a_part_that_cannot_be_guessed_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "do_00001"
    torch.save({"mpd": DISC, "msd": under("d.0.", DISC), "steps": 5}, path)
    with pytest.raises(WeightsError, match=r"which of its parts is the discr.*mpd, msd.*--key mpd"):
        read_weights(path, "discriminator")
    assert load_foreign(build(D), path, "discriminator", key="mpd") == ()
    got, _ = read_weights(path, "discriminator", key="msd", strip_prefix="d.0")
    assert got.keys() == DISC.keys()
    with pytest.raises(WeightsError, match="did you mean 'msd'"):
        read_weights(path, "discriminator", key="msdd")
    with pytest.raises(WeightsError, match=r"no name begins with 'e\.'; allowed: d"):
        read_weights(path, "discriminator", key="msd", strip_prefix="e")
    torch.save({"a": {"b": GEN}}, path)
    assert read_weights(path, "generator", key="a.b")[0].keys() == GEN.keys()


def test_a_file_of_the_other_role_is_no_generator(tmp_path: Path) -> None:
    path = tmp_path / "netD.pth"
    torch.save({"netD": DISC, "optimizerD": MOMENTS}, path)
    with pytest.raises(WeightsError, match=r"which of its parts is the generator: allowed: netD"):
        read_weights(path, "generator")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([1, 2], "holds a list, not weights by name"),
        ({"epoch": 3, "loss": 0.5}, "holds no weights, but 'epoch', 'loss'"),
        ({}, "holds no weights, but nothing"),
        (torch.ones(3), "holds a Tensor, not weights by name"),
    ],
)
def test_files_without_weights_by_name(content: object, said: str, tmp_path: Path) -> None:
    path = tmp_path / "netG.pth"
    torch.save(content, path)
    with pytest.raises(WeightsError, match=said):
        read_weights(path, "generator")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_cast_and_said(dtype: torch.dtype, tmp_path: Path) -> None:
    path = tmp_path / "netG.pth"
    halves = {n: v.to(dtype) if v.is_floating_point() else v for n, v in GEN.items()}
    torch.save(halves, path)
    weights, notes = read_weights(path, "generator")
    assert notes == ("half precision, read as float32",)
    assert torch.equal(weights["main.0.weight"], halves["main.0.weight"].float())
    assert weights["main.1.num_batches_tracked"].dtype == torch.int64


def test_safetensors_load_as_well(tmp_path: Path) -> None:
    torch.manual_seed(0)
    save_weights(build(G), tmp_path / "g.safetensors")
    network = build(G)
    load_foreign(network, tmp_path / "g.safetensors", "generator")
    assert torch.equal(network.main[0].weight, GEN["main.0.weight"])


def test_what_does_not_fit_is_told_in_short_with_what_would(tmp_path: Path) -> None:
    path = tmp_path / "netG.pth"
    torch.save(GEN, path)
    network = build({**G, "filters": 3})
    before = network.main[0].weight.clone()
    with pytest.raises(WeightsError) as caught:
        load_foreign(network, path, "generator")
    said = str(caught.value)
    assert (
        "does not fit DCGANGenerator32: 16 of another shape: main.0.weight is (5, 8, 4, 4)" in said
    )
    assert "fits the built-in generator 'dcgan-generator-32', latent_dim=5, filters=2" in said
    assert len(said) < 500 and torch.equal(network.main[0].weight, before)
    with pytest.raises(WeightsError, match=r"missing weight.*unexpected.*main\.0"):
        load_foreign(nn.Linear(2, 2, bias=False), path, "generator")


def test_the_nearest_architecture_is_named_where_none_fits(tmp_path: Path) -> None:
    path = tmp_path / "netG.pth"
    torch.save({**GEN, "extra.weight": torch.ones(2)}, path)
    with pytest.raises(WeightsError, match="nearest is 'dcgan-generator-32'.*extra.weight"):
        find_architecture(path, "generator")
    torch.save({"fc.weight": torch.ones(2, 2)}, path)
    with pytest.raises(WeightsError, match="fits no built-in generator. Give the class"):
        find_architecture(path, "generator")


def test_swapped_files_are_told(tmp_path: Path) -> None:
    torch.save(DISC, tmp_path / "netD.pth")
    torch.save(GEN, tmp_path / "netG.pth")
    with pytest.raises(WeightsError, match="It fits the discriminator 'dcgan-disc.* swapped?"):
        find_architecture(tmp_path / "netD.pth", "generator")
    with pytest.raises(WeightsError, match="It fits the generator 'dcgan-gen.* swapped?"):
        find_architecture(tmp_path / "netG.pth", "discriminator")


def test_a_network_with_a_child_of_such_a_name_keeps_it(tmp_path: Path) -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mapping, self.generator = nn.Linear(2, 2), nn.Linear(2, 3)

    first, second = Both(), Both()
    torch.save(first.state_dict(), tmp_path / "w.pth")
    load_foreign(second, tmp_path / "w.pth", "generator")
    assert torch.equal(first.generator.weight, second.generator.weight)
    assert torch.equal(first.mapping.weight, second.mapping.weight)


def test_files_from_before_counters_and_with_statistics_of_instance_norm(tmp_path: Path) -> None:
    path = tmp_path / "netG.pth"
    torch.save({n: v for n, v in GEN.items() if "num_batches" not in n}, path)
    load_foreign(build(G), path, "generator")
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.InstanceNorm2d(2))
    old = nn.Sequential(nn.Conv2d(1, 2, 1), nn.InstanceNorm2d(2, track_running_stats=True))
    torch.save(old.state_dict(), path)
    load_foreign(network, path, "generator")
    assert torch.equal(network[0].weight, old[0].weight)
    network[1] = nn.Identity()
    with pytest.raises(WeightsError, match=r"3 unexpected: 1\.running_mean"):
        load_foreign(network, path, "generator")


def test_spectral_norm_of_a_file_is_computed_for_a_network_without(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = build({"net": "sngan-discriminator-32", "filters": 4})
    for layer in list(network.modules()):
        if isinstance(layer, nn.Conv2d | nn.Linear):
            torch.nn.utils.spectral_norm(layer)
    x = torch.randn(2, 3, 32, 32)
    network(x)
    path = tmp_path / "netD.pth"
    torch.save({"model_state_dict": network.eval().state_dict()}, path)
    plain = build(find_architecture(path, "discriminator")).eval()
    load_foreign(plain, path, "discriminator")
    torch.testing.assert_close(plain(x), network(x))
    load_foreign(network, path, "discriminator")  # which keeps its own norm
    torch.testing.assert_close(plain(x), network(x))


def test_what_mimicry_trained_is_built_as_mimicry_computes(tmp_path: Path) -> None:
    path = tmp_path / "netG_100_steps.pth"
    weights = build({"net": "sngan-generator-32", "filters": 4}).state_dict()
    torch.save({"model_state_dict": weights, "optimizer_state_dict": {}, "global_step": 1}, path)
    spec = {"net": "sngan-generator-32", "filters": 4, "mimicry": True}
    assert find_architecture(path, "generator") == spec
    assert load_foreign(build(spec), path, "generator") == ()
    (said,) = load_foreign(build({**spec, "mimicry": False}), path, "generator")
    assert "build with mimicry=true" in said
