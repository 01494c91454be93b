"""Training: right losses, the same weights however often it is interrupted, nothing overwritten."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gantandem.errors import ConfigError, DataError, NonFiniteError, WeightsError
from gantandem.nets.weights import read_tensors, write_tensors
from gantandem.tasks import MixtureTask, get_task
from gantandem.training.gan import CHECKPOINT, TrainConfig, TrainInfo, TrainState, train_gan
from gantandem.training.losses import discriminator_loss, generator_loss

SMALL = TrainConfig(
    iterations=12,
    batch_size=16,
    optimiser="adam",
    generator_rate=1e-3,
    discriminator_rate=2e-3,
    checkpoint_every=5,
)


class NoisyDiscriminator(nn.Module):
    """Draws from torch's global generator in every forward pass, as dropout does."""

    def __init__(self) -> None:
        super().__init__()
        self.main = nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.5), nn.Linear(8, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.main(x).squeeze(1)


def task(optimiser: str = "adam", discriminator: str = "mlp-discriminator") -> MixtureTask:
    base = get_task("imbalanced-8")
    assert isinstance(base, MixtureTask)
    networks: dict[str, Any] = {
        "generator": {"net": "mlp-generator", "width": 8},
        "discriminator": {"net": discriminator},
    }
    train = dataclasses.replace(SMALL, optimiser=optimiser)
    return dataclasses.replace(base, networks=networks, train=train, sizes=(100, 1, 1, 1))


def run(task: MixtureTask, seed: int = 0, **settings: Any) -> tuple[nn.Module, nn.Module]:
    return train_gan(task, task.real(0).fit, seed=seed, **settings)


def weights(networks: tuple[nn.Module, nn.Module]) -> list[Tensor]:
    return [value for network in networks for value in network.state_dict().values()]


def equal(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_losses_are_the_published_ones_and_finite_for_sure_discriminators() -> None:
    real, fake = torch.tensor([0.3, -1.2]), torch.tensor([2.0, -0.7])
    wanted = -(real.sigmoid().log().mean() + (1 - fake.sigmoid()).log().mean())
    assert discriminator_loss(real, fake).item() == pytest.approx(wanted.item(), rel=1e-6)
    assert generator_loss(fake).item() == pytest.approx(-fake.sigmoid().log().mean().item())
    sure = torch.tensor([1000.0])
    assert discriminator_loss(-sure, sure).item() == 2000
    logit = torch.tensor([-30.0], requires_grad=True)
    generator_loss(logit).backward()
    assert logit.grad is not None and logit.grad.item() == pytest.approx(-1)  # does not saturate


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    first, again, other = (weights(run(task(), seed)) for seed in (3, 3, 4))
    assert equal(first, again)
    assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True) if a.dim() == 2)


def test_the_global_random_state_is_neither_used_nor_changed() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = weights(run(task()))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert equal(first, weights(run(task())))


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
@pytest.mark.parametrize("discriminator", ["mlp-discriminator", f"{__name__}:NoisyDiscriminator"])
def test_a_resumed_run_gives_the_weights_of_an_uninterrupted_one(
    optimiser: str, discriminator: str, tmp_path: Path
) -> None:
    subject = task(optimiser, discriminator)
    whole = weights(run(subject))
    # 12 updates are two epochs of 6: the stops fall inside the first and inside the second.
    for iterations in (4, 9, 12):
        train = dataclasses.replace(subject.train, iterations=iterations)
        last = run(subject, folder=tmp_path, train=train)
    assert equal(whole, weights(last))


def test_ctrl_c_keeps_the_last_checkpoint_and_a_new_call_goes_on_from_it(
    tmp_path: Path,
) -> None:
    seen: list[int] = []

    def press(state: TrainState, info: TrainInfo, step: int) -> None:
        seen.append(step)
        if step == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=f"resume from .*{CHECKPOINT}"):
        run(task(), folder=tmp_path, on_step=press)
    seen.clear()
    resumed = run(task(), folder=tmp_path, on_step=lambda state, info, step: seen.append(step))
    assert seen == [6, 7, 8, 9, 10, 11, 12]
    assert equal(weights(resumed), weights(run(task())))


def test_a_finished_run_trains_no_further_and_anew_only_when_told(tmp_path: Path) -> None:
    seen: list[int] = []
    run(task(), folder=tmp_path)
    run(task(), folder=tmp_path, on_step=lambda state, info, step: seen.append(step))
    assert seen == []
    run(task(), folder=tmp_path, on_step=lambda *args: seen.append(args[2]), resume=False)
    assert seen == list(range(1, 13))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 1}, "seed"),
        ({"train": dataclasses.replace(SMALL, generator_rate=1e-2)}, "generator_rate"),
        ({"train": dataclasses.replace(SMALL, batch_size=8)}, "batch_size"),
        (
            {"train": dataclasses.replace(SMALL, iterations=6)},
            "at iteration 12, which is more than iterations=6",
        ),
    ],
)
def test_a_folder_of_another_run_is_refused(
    change: dict[str, Any], named: str, tmp_path: Path
) -> None:
    run(task(), folder=tmp_path)
    before = (tmp_path / CHECKPOINT).read_bytes()
    with pytest.raises(ConfigError, match=named):
        run(task(), folder=tmp_path, **change)
    assert (tmp_path / CHECKPOINT).read_bytes() == before


def test_changed_data_never_go_on_from_a_checkpoint(tmp_path: Path, caplog) -> None:
    data = task().real(0).fit
    train_gan(task(), data, folder=tmp_path)
    path = tmp_path / CHECKPOINT
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="belongs to another run: its data is"):
        train_gan(task(), data.flip(1), folder=tmp_path)
    assert path.read_bytes() == before
    tensors, metadata = read_tensors(path)
    del metadata["data"]  # as version 0.1 wrote it
    write_tensors(path, tensors, metadata)
    train_gan(task(), data, folder=tmp_path)
    assert "did not record its data" in caplog.text


def test_every_real_sample_is_seen_once_in_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[Tensor] = []

    class Spy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(2))

        def forward(self, x: Tensor) -> Tensor:
            batches.append(x.detach())
            return x @ self.weight

    monkeypatch.setitem(globals(), "Spy", Spy)
    data = torch.arange(96.0).view(48, 2)
    train_gan(task(discriminator=f"{__name__}:Spy"), data)
    real = torch.stack(batches[::3])  # an update shows D real, generated and again generated
    first, second = (epoch.flatten(0, 1)[:, 0] for epoch in (real[:3], real[3:6]))
    assert torch.equal(first.sort().values, data[:, 0])
    assert torch.equal(second.sort().values, data[:, 0])
    assert not torch.equal(first, second)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("rng.noise", torch.zeros(3), "its random numbers"),
        ("rng.torch", None, "its random numbers"),
        ("optimiser.generator.0.exp_avg", torch.zeros(3), "of another shape 0.exp_avg"),
        ("optimiser.generator.0.step", None, "missing 0.step"),
        ("optimiser.generator.99.step", torch.zeros(()), "unexpected 99.step"),
        ("optimiser.discriminator.x", torch.zeros(()), "unexpected x"),
        ("iteration", "1e3", "its iteration is '1e3'"),
        ("iteration", None, "its iteration is ''"),
    ],
)
def test_a_damaged_checkpoint_is_told(tmp_path: Path, name, value, told) -> None:
    run(task(), folder=tmp_path)
    tensors, metadata = read_tensors(tmp_path / CHECKPOINT)
    part: dict[str, Any] = metadata if name == "iteration" else tensors
    if value is None:
        del part[name]
    else:
        part[name] = value
    write_tensors(tmp_path / CHECKPOINT, tensors, metadata)
    with pytest.raises(WeightsError, match=f"damaged.*{told}"):
        run(task(), folder=tmp_path)


def test_a_diverged_run_stops_before_it_overwrites_the_last_checkpoint(tmp_path: Path) -> None:
    def poison(state: TrainState, info: TrainInfo, step: int) -> None:
        if step == 7:
            next(state.generator.parameters()).data.fill_(math.nan)

    with pytest.raises(NonFiniteError, match="iteration 10"):
        run(task(), folder=tmp_path, on_step=poison)
    seen: list[int] = []
    run(task(), folder=tmp_path, on_step=lambda state, info, step: seen.append(step))
    assert seen[0] == 6


def test_uniform_latents_fill_their_box() -> None:
    latents: list[Tensor] = []

    class Spy(nn.Linear):
        def forward(self, z: Tensor) -> Tensor:
            latents.append(z.detach())
            return super().forward(z)

    class SpyGenerator(Spy):
        def __init__(self) -> None:
            super().__init__(3, 2)

    globals()["SpyGenerator"] = SpyGenerator
    base = task()
    subject = dataclasses.replace(
        base,
        latent={"kind": "uniform", "dim": 3, "low": -2.0, "high": 1.0},
        networks={**base.networks, "generator": {"net": f"{__name__}:SpyGenerator"}},
    )
    run(subject)
    z = torch.cat(latents)
    assert z.shape == (12 * 16, 3)
    assert -2 <= z.min() < -1.9 and 0.9 < z.max() <= 1


@pytest.mark.slow
def test_training_moves_samples_towards_the_data() -> None:
    base = task()
    train = dataclasses.replace(SMALL, iterations=200, batch_size=64, generator_rate=1e-2)
    subject = dataclasses.replace(base, train=train, sizes=(1000, 1, 1, 1))
    real = subject.real(0).fit
    z = torch.randn(1000, 2, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        trained, _ = run(subject)
        barely, _ = run(subject, train=dataclasses.replace(train, iterations=1))
        after, before = (subject.distance(g(z), real) for g in (trained, barely))
    assert after < before / 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("iterations", 0),
        ("batch_size", 1),
        ("generator_rate", -1.0),
        ("optimiser", "adamw"),
        ("beta1", 1.0),
        ("checkpoint_every", 0),
    ],
)
def test_settings_out_of_range_are_named(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"{name} is .*{value}"):
        dataclasses.replace(SMALL, **{name: value})


def test_fewer_samples_than_a_batch_are_refused() -> None:
    with pytest.raises(DataError, match="15 samples are fewer than the batch_size of 16"):
        train_gan(task(), torch.zeros(15, 2))
