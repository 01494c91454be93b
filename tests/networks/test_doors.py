"""Every network is checked by whichever door it comes in, and what is odd works or is said."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from door_gans import FIT, REAL, cloud, gan
from gantandem import (
    GAN,
    MALA,
    OBRS,
    Direct,
    Metropolis,
    Real,
    Refine,
    Samples,
    calibrate,
    diagnose,
    fit_ratio,
    sample,
    shape,
)
from gantandem.errors import InputError
from gantandem.networks.score import Score
from gantandem.ratios.ratio import Ratio
from gantandem.runs.formats import make_writer
from plain_gans import net
from targets import Formula


class Mixes(nn.Module):
    def forward(self, x):
        return (x - x.mean(0)).sum(1)


class Noise(nn.Module):
    def forward(self, x):
        return x.sum(1) + torch.randn(len(x))


DOORS = {
    "GAN": lambda g, network: GAN(g.generator, network, 2),
    "with_guide": lambda g, network: g.with_guide(network),
    "with_ratio": lambda g, network: g.with_ratio("law", Ratio(Score(network))),
    "replace guide": lambda g, network: g.replace(guide=Score(network)),
    "replace ratios": lambda g, network: g.replace(ratios={"law": Ratio(Score(network))}),
    "check": lambda g, network: g.check(network),
    "fit_ratio": lambda g, network: fit_ratio(g, REAL, network=network, **FIT),
}
FAULTS = {
    "mixes": (Mixes(), "mixes the rows of a batch"),
    "noise": (Noise(), "gives two outputs for one input"),
    "size": (net(5, 1), "does not take the generator's output"),
    "channels": (net(2, 3), "one channel"),
    "no statistics": (
        nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4, track_running_stats=False), net(4, 1)),
        r"'1' \(BatchNorm1d\)",
    ),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_network_is_checked_by_whichever_door_it_comes(door, fault):
    network, words = FAULTS[fault]
    with pytest.raises(InputError, match=words):
        DOORS[door](gan(), network)


@pytest.mark.parametrize("door", [d for d in DOORS if d not in ("with_ratio", "replace ratios")])
def test_a_sound_network_passes(door):
    DOORS[door](gan(), net(2, 4, 1, seed=3))


@pytest.mark.parametrize("network", [lambda x: x, nn.Linear, "D", torch.zeros(2), None])
@pytest.mark.parametrize("role", ["generator", "discriminator"])
def test_what_is_no_network(network, role):
    if role == "discriminator" and network is None:
        return
    with pytest.raises(InputError, match=f"{role}: got .*allowed is an nn.Module"):
        GAN(network, None, 2) if role == "generator" else GAN(net(2, 2), network, 2)


# -- replace ------------------------------------------------------------------------------------


def test_another_generator_is_sampled():
    first, second = net(2, 8, 2), net(2, 8, 2, seed=4)
    old = GAN(first, net(2, 8, 1), 2)
    for mover in (Direct(), Refine(layer="0", steps=2, step_size=0.1), Refine(layer="latent")):
        sample(old, mover, 16, width=16)
        new = old.replace(generator=second)
        out = sample(new, mover, 16, width=16)
        assert torch.equal(out.x, sample(GAN(second, old.guide.network, 2), mover, 16, width=16).x)


def test_attributes_are_known_ones():
    with pytest.raises(InputError, match="'guid'; did you mean 'guide'"):
        gan().replace(guid=1)
    with pytest.raises(InputError, match=r"'networks'.*allowed: generator, guide"):
        gan().replace(networks=None)
    with pytest.raises(InputError, match="does not take latents"):
        gan().replace(latent=3)
    with pytest.raises(InputError, match="does not take"):
        gan().replace(generator=net(2, 8, 3))  # whose samples the guide does not take
    with pytest.raises(InputError, match="generator: got int"):
        gan().replace(generator=3)


def test_a_guide_may_be_given_as_a_network_and_a_latent_as_a_size():
    network = net(2, 4, 1)
    new = gan().replace(guide=network, latent=2, shaped=True)
    assert new.guide.network is network and new.guide.output == "logit" and new.shaped


# -- labels -------------------------------------------------------------------------------------


class Labelled(nn.Module):
    def __init__(self, size=2, labels=10):
        super().__init__()
        self.rows, self.body = nn.Embedding(labels, 2), net(2, 8, size)

    def forward(self, x, y):
        return self.body(x + self.rows(y))


def labelled(condition, labels=10, judged=10):
    return GAN(Labelled(labels=labels), Labelled(1, judged), 2, condition=condition)


@pytest.mark.parametrize("place", [0, 7, 8, 9, 500])
@pytest.mark.parametrize("label", [10, -1, 99])
def test_a_label_that_is_not_known_is_named_at_construction(place, label):
    labels = torch.arange(1000) % 10
    labels[place] = label
    for known in ({}, {"labels": 100}):  # in the generator, or in the discriminator alone
        if label >= 0:
            with pytest.raises(InputError, match=f"condition: .*label {label} "):
                labelled(labels, **known)
    sound = labelled(torch.arange(10))
    with pytest.raises(InputError, match=f"label {label} "):
        sound.with_condition(labels)


def test_labels_of_a_function_are_tried_too():
    with pytest.raises(InputError, match="label 10 "):
        labelled(lambda ids: (ids // 50).clamp(max=10))
    labelled(lambda ids: (ids // 50).clamp(max=9))


def test_labels_are_tried_once(monkeypatch):
    made = labelled(torch.arange(10))
    seen = []
    made.generator.register_forward_pre_hook(lambda _m, args: seen.append(len(args[0])))
    made.with_condition(torch.tensor([3, 3, 5]))
    assert not seen
    many = GAN(Labelled(labels=5000), None, 2, condition=torch.arange(5000))
    many.generator.register_forward_pre_hook(lambda _m, args: seen.append(len(args[0])))
    many.with_condition(torch.arange(5000).flip(0))
    assert sum(seen) <= 32  # and not 5,000


def test_real_samples_of_an_unknown_label_are_said_before_anything_is_fitted():
    labels = torch.arange(200) % 10
    labels[3] = 12
    with pytest.raises(InputError, match="label 12 "):
        fit_ratio(labelled(torch.arange(10)), (cloud(200), labels), **FIT)


# -- single rows, half precision ----------------------------------------------------------------


class Squeezes(nn.Module):
    def __init__(self, size=1):
        super().__init__()
        self.body = net(2, 8, size)

    def forward(self, x):
        return self.body(x).squeeze()


def test_a_squeezing_discriminator_scores_a_chunk_of_one_row():
    network = Squeezes()
    made = GAN(net(2, 8, 2), network, 2)
    x = cloud(1001)  # in chunks of 1,000
    assert made.guide(x[:1]).shape == (1,)
    made = made.observe(x)
    assert diagnose(calibrate(made, REAL, width=16), REAL, width=16).n_real == 33
    parts = Real(fit=cloud(1001), select=cloud(1001), calibrate=x, test=x)
    fit_ratio(made, parts, network=network, **FIT)
    sample(made, OBRS(expected=2, pilot=64), 17, width=16)
    options = {"updates": 2, "check_every": 1, "check_samples": 17, "batch": 16, "width": 16}
    shape(made, parts, refine=Refine(steps=2), progress=False, **options)


def test_a_generator_that_loses_the_axis_of_a_single_row_is_refused():
    with pytest.raises(InputError, match=r"got \(2,\) for one latent.*squeeze\(1\)"):
        GAN(Squeezes(2), None, 2)


class Half(nn.Module):
    """Computes in half precision, from latents of full precision."""

    def __init__(self, network, dtype, *, back=False):
        super().__init__()
        self.network, self.dtype, self.back = network.to(dtype), dtype, back

    def forward(self, z):
        x = self.network(z.to(self.dtype))
        return x.float() if self.back else x


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_precisions_fit_and_are_written(dtype, tmp_path):
    made = GAN(Half(net(2, 8, 2), dtype), net(2, 8, 1).to(dtype), 2)
    fitted = fit_ratio(made, REAL, **FIT)
    fitted = calibrate(fitted, REAL, width=16)
    out = sample(fitted, OBRS(expected=2, pilot=64), 20, width=16)
    assert (
        out.x.dtype == torch.promote_types(dtype, torch.float32) and out.log_ratio.isfinite().all()
    )
    for mover in (Refine(steps=2, step_size=0.1), Refine(layer="data", steps=2)):
        assert sample(fitted, mover, 16, width=16).x.isfinite().all()
    back = Samples.load(out.save(tmp_path / "x.npz"))
    assert torch.equal(back.x, out.x)
    assert torch.equal(back.log_ratio, out.log_ratio)


@pytest.mark.parametrize("kind", ["png", "webdataset", "parquet", "npz"])
def test_every_format_takes_bfloat16(kind, tmp_path):
    images = Half(nn.Sequential(net(2, 64), nn.Tanh(), nn.Unflatten(1, (1, 8, 8))), torch.bfloat16)
    out = sample(GAN(images, None, 2), Direct(), 20, width=16)
    full = dataclasses.replace(out, x=out.x.float(), z=out.z.float())
    for name, samples in (("half", out), ("full", full)):
        writer = make_writer(kind, tmp_path / name)
        writer.add(samples)
        writer.close()
    files = [sorted(p.name for p in (tmp_path / name).iterdir()) for name in ("half", "full")]
    assert files[0] == files[1]


def test_a_guide_of_another_precision_than_the_generator():
    made = GAN(net(2, 8, 2), net(2, 8, 1).to(torch.bfloat16), 2)
    out = sample(made, Metropolis(proposals=2), 16, width=16)
    assert out.x.dtype == torch.float32 and out.log_ratio.isfinite().all()
    sample(made, Refine(steps=2, step_size=0.1), 16, width=16)
    sample(made, MALA(steps=2, step_size=0.1), 16, width=16)


# -- what is left out, and what makes no number ---------------------------------------------------


@pytest.mark.parametrize(
    ("given", "options", "wanted"),
    [
        ((nn.Linear(2, 2),), {"latent": 2}, r"discriminator is missing: .*GAN\(G, None, \.\.\.\)"),
        ((nn.Linear(2, 2), nn.Linear(2, 1)), {}, r"latent is missing: .*gt\.Normal\(2\)"),
        ((), {}, r"generator is missing: GAN\(G, D, latent=gt\.Normal\(2\)\)"),
        ((nn.Linear(2, 2), None, "normal:2"), {}, r"got 'normal:2'; .*gt\.Normal\(2\)"),
        ((nn.Linear(2, 2), None, None), {}, r"got NoneType; .*gt\.Normal\(2\)"),
    ],
)
def test_an_argument_that_is_left_out_is_told_with_what_to_write(given, options, wanted):
    with pytest.raises(InputError, match=wanted):
        GAN(*given, **options)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("judge", [None, nn.Linear(2, 1)])
def test_a_generator_that_makes_no_number_is_refused(value, judge):
    def broken(z):
        return torch.where(z < 9, value, z)

    with pytest.raises(InputError, match="generator Formula: of 8 latents it makes NaN"):
        GAN(Formula(broken), judge, 2)
    with pytest.raises(InputError, match="makes NaN or infinity alone"):
        GAN(nn.Identity(), judge, 2).replace(generator=Formula(broken))


def test_a_generator_some_of_whose_rows_are_nan_is_taken():
    GAN(Formula(lambda z: torch.where(z[:, :1] > 0, torch.nan, z)), nn.Linear(2, 1), 2)
