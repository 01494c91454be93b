"""Weight files: what is written comes back, and whatever else is offered is refused untouched."""

from __future__ import annotations

import os
import pickle
import struct
from pathlib import Path

import pytest
import torch
from torch import nn

from gantandem.errors import ConfigError, GANtandemError, OutputError, WeightsError
from gantandem.nets import NETS, build, load_weights, save_weights
from gantandem.nets.weights import write_tensors


def net(seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build({"net": "mlp-generator", "width": 8})


def same(one: nn.Module, other: nn.Module) -> bool:
    mine, theirs = one.state_dict(), other.state_dict()
    return all(torch.equal(mine[name], theirs[name]) for name in mine)


def test_weights_and_their_notes_come_back(tmp_path: Path) -> None:
    first, second = net(0), net(1)
    save_weights(first, tmp_path / "new" / "w.safetensors", {"command": "made so"})
    assert not same(first, second)
    assert load_weights(second, tmp_path / "new" / "w.safetensors") == {"command": "made so"}
    assert same(first, second)


def test_tied_and_strided_weights_can_be_saved(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    network[1].weight = network[0].weight
    network[0].bias.data = torch.arange(6.0)[::2]
    save_weights(network, tmp_path / "w.safetensors")
    other = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    load_weights(other, tmp_path / "w.safetensors")
    assert torch.equal(other[1].weight, network[0].weight)
    assert other[0].bias.tolist() == [0, 2, 4]


def test_a_network_without_weights_comes_back(tmp_path: Path) -> None:
    save_weights(nn.Flatten(), tmp_path / "w.safetensors")
    assert load_weights(nn.Flatten(), tmp_path / "w.safetensors") == {}
    save_weights(nn.Flatten(), tmp_path / "w.safetensors", {"command": "made so"})
    assert load_weights(nn.Flatten(), tmp_path / "w.safetensors") == {"command": "made so"}


def test_half_precision_files_are_read_into_float_networks(tmp_path: Path) -> None:
    network = nn.Linear(2, 2)
    halves = {name: value.half() for name, value in network.state_dict().items()}
    write_tensors(tmp_path / "w.safetensors", halves)
    load_weights(network, tmp_path / "w.safetensors")
    assert network.weight.dtype == torch.float32
    assert torch.equal(network.weight, halves["weight"].float())


class Bomb:
    """Says so when it is unpickled."""

    def __reduce__(self) -> tuple:
        return (os.mkdir, ("exploded",))


@pytest.mark.parametrize("name", ["w.pt", "w.pth", "w.pkl", "w.safetensors"])
@pytest.mark.parametrize("writer", ["torch", "old-torch", "pickle"])
def test_pickled_files_are_never_opened(
    name: str, writer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    content = {"weight": Bomb()}
    if writer == "pickle":
        Path(name).write_bytes(pickle.dumps(content))
    else:
        torch.save(content, name, _use_new_zipfile_serialization=writer == "torch")
    with pytest.raises(WeightsError, match=r"pickled.*save_weights"):
        load_weights(nn.Linear(1, 1), name)
    assert not Path("exploded").exists()


@pytest.mark.parametrize("keep", [0, 4, 8, 100, 0.5, -1])
def test_truncated_files_are_refused_and_the_network_is_unchanged(
    keep: float, tmp_path: Path
) -> None:
    network, path = net(0), tmp_path / "w.safetensors"
    save_weights(net(1), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole)) if isinstance(keep, float) else keep])
    with pytest.raises(WeightsError, match="truncated or not a safetensors file"):
        load_weights(network, path)
    assert same(network, net(0))


def test_a_header_that_lies_about_its_length_is_refused(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(struct.pack("<Q", 2**60) + b"{}")
    with pytest.raises(WeightsError, match="w.safetensors"):
        load_weights(net(), tmp_path / "w.safetensors")


def test_missing_unexpected_and_misshapen_weights_are_all_named(tmp_path: Path) -> None:
    network = nn.Linear(2, 3)
    before = network.weight.clone()
    wrong = {"weight": torch.zeros(2, 2), "extra": torch.zeros(1)}
    write_tensors(tmp_path / "w.safetensors", wrong)
    with pytest.raises(WeightsError) as caught:
        load_weights(network, tmp_path / "w.safetensors")
    for part in ("missing bias", "unexpected extra", "(2, 2), needs (3, 2)", "Linear"):
        assert part in str(caught.value)
    assert torch.equal(network.weight, before)


def test_a_missing_file_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(GANtandemError, match="no such weight file"):
        load_weights(net(), tmp_path / "none.safetensors")


def test_a_failing_write_keeps_the_old_file_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(net(0), path)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        save_weights(net(1), path)
    loaded = net(2)
    load_weights(loaded, path)
    assert same(loaded, net(0))
    assert list(tmp_path.iterdir()) == [path]


SHAPES = {
    "mlp-generator": ((2,), (2,)),
    "mlp-discriminator": ((2,), ()),
    "infogan-generator": ((62,), (1, 28, 28)),
    "infogan-discriminator": ((1, 28, 28), ()),
    "mnist-classifier": ((1, 28, 28), (10,)),
}


@pytest.mark.parametrize("name", SHAPES)
def test_networks_map_their_shapes_and_keep_rows_apart_in_eval_mode(name: str) -> None:
    shape_in, shape_out = SHAPES[name]
    network = build({"net": name}).eval()
    x = torch.randn(5, *shape_in)
    y = network(x)
    assert y.shape == (5, *shape_out)
    assert torch.allclose(network(x[3:]), y[3:], atol=1e-5)
    assert name in NETS


def test_mlps_are_the_published_ones() -> None:
    generator, discriminator = (build({"net": f"mlp-{k}"}) for k in ("generator", "discriminator"))
    kinds = [type(module).__name__ for module in generator.main]
    assert kinds == ["Linear", "BatchNorm1d", "ReLU"] * 5 + ["Linear"]
    kinds = [type(module).__name__ for module in discriminator.main]
    assert kinds == ["Linear", "ReLU"] * 5 + ["Linear"]
    sizes = [m.out_features for m in generator.main if isinstance(m, nn.Linear)]
    assert sizes == [64] * 5 + [2]


def test_digits_are_refined_at_a_module_of_128_maps() -> None:
    seen: list[torch.Size] = []
    generator = build({"net": "infogan-generator"}).eval()
    hook = generator.get_submodule("maps").register_forward_hook(
        lambda module, args, out: seen.append(out.shape)
    )
    x = generator(torch.rand(2, 62))
    hook.remove()
    assert seen == [(2, 128, 7, 7)] and x.abs().max() <= 1


def test_networks_are_found_by_name_or_import() -> None:
    assert isinstance(
        build({"net": "torch.nn:Linear", "in_features": 1, "out_features": 2}), nn.Linear
    )
    with pytest.raises(ConfigError, match="did you mean 'mlp-generator'"):
        build({"net": "mlp-generater"})
    with pytest.raises(ConfigError, match="cannot be imported"):
        build({"net": "torch.nn:Lineer"})
    with pytest.raises(ConfigError, match="does not take.*'depth'"):
        build({"net": "mlp-generator", "depth": 3})
    with pytest.raises(ConfigError, match="needs the key"):
        build({"width": 3})
    with pytest.raises(ConfigError, match="allowed is a subclass of Module"):
        build({"net": "builtins:dict"})
