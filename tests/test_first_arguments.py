"""What a user swaps or misnames is said in one message by every public function."""

from __future__ import annotations

import pytest
import torch

import gantandem as gt
from gantandem.errors import InputError
from gantandem.testing import toy_gan

REAL = torch.zeros(100, 2)


def numbers(x):
    return {"mean": float(x.mean())}


FIRST = {
    "fit_ratio": lambda gan, folder: gt.fit_ratio(gan, REAL),
    "shape": lambda gan, folder: gt.shape(gan, REAL),
    "calibrate": lambda gan, folder: gt.calibrate(gan, REAL),
    "diagnose": lambda gan, folder: gt.diagnose(gan, REAL),
    "fit_latent_reweight": lambda gan, folder: gt.fit_latent_reweight(gan),
    "score": lambda gan, folder: gt.score(gan, REAL),
    "select": lambda gan, folder: gt.select(gan, REAL),
    "sample": lambda gan, folder: gt.sample(gan, gt.Direct(), 4),
    "sample_iter": lambda gan, folder: next(gt.sample_iter(gan, gt.Direct(), 4)),
    "prepare": lambda gan, folder: gt.prepare(gan, gt.Direct()),
    "compare": lambda gan, folder: gt.compare(gan, {"direct": gt.Direct()}, numbers, 4),
    "sweep": lambda gan, folder: gt.sweep(gan, {"refine": gt.Refine()}, numbers, n=4),
    "chain_report": lambda gan, folder: gt.chain_report(gan, gt.MALA()),
    "SampledGenerator": lambda gan, folder: gt.SampledGenerator(gan, gt.Direct()),
    "recommend": lambda gan, folder: gt.recommend(gan, REAL),
    "layers": lambda gan, folder: gt.layers(gan),
    "report": lambda gan, folder: gt.report(gan, REAL, ["direct"], folder / "report"),
    "open_data": lambda gan, folder: gt.open_data(folder, gan),
    "save_run": lambda gan, folder: gt.save_run(gan, folder),
}


@pytest.mark.parametrize("name", FIRST)
@pytest.mark.parametrize("given", [REAL, "runs/demo", torch.nn.Linear(2, 2), None, gt.GAN])
def test_what_is_no_gan_is_refused_by_name(name, given, tmp_path):
    with pytest.raises(InputError, match=r"gan: got .*, allowed is a GAN"):
        FIRST[name](given, tmp_path)
    assert not list(tmp_path.iterdir())


class Flat(torch.nn.Module):
    def forward(self, x):
        return x[:, 0] - x[:, 1] ** 2


def test_a_discriminator_without_weights_is_used_and_not_trained(caplog):
    gan = gt.GAN(torch.nn.Linear(2, 2), Flat(), 2)
    real = torch.randn(400, 2)
    quick = {"n": 300, "schedule": [(2, 1e-3)], "batch": 50}
    tried = gt.fit_ratio(gan, real, **quick).ratio(gt.Direct()).chosen["candidates"]
    assert [row["name"] for row in tried] == ["shipped", "network", "linear", "trees"]
    assert "Flat has no weights that could be trained. A new network" in caplog.text
    with pytest.raises(InputError, match="Flat has no weights that could be trained"):
        gt.shape(gan, real)
    with pytest.raises(InputError, match="Flat has no weights that could be trained"):
        gt.fit_ratio(gan, real, network=Flat(), **quick)


DISTANCES = {
    "one argument": lambda x: 0.0,
    "three arguments": lambda x, y, z: 0.0,
    "no function": 3,
    "a name": "sliced",
}


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("call", [gt.fit_ratio, gt.shape], ids=["fit_ratio", "shape"])
def test_a_distance_takes_two_sets(call, distance):
    with pytest.raises(InputError, match="distance: got .* allowed is a function of .* and real"):
        call(toy_gan(), torch.randn(200, 2), distance=DISTANCES[distance])


@pytest.mark.parametrize("metrics", [lambda: {}, lambda x, y: {}, 3])
def test_metrics_take_samples(metrics):
    with pytest.raises(InputError, match="metrics: got .* allowed is a function from samples"):
        gt.compare(toy_gan(), {"direct": gt.Direct()}, metrics=metrics, n=4)
    with pytest.raises(InputError, match="metrics: got .* allowed is a function from samples"):
        gt.sweep(toy_gan(), {"refine": gt.Refine()}, metrics=metrics, n=4)


@pytest.mark.parametrize("returned", [0.3, None, [1.0], {1: 2.0}, torch.tensor(1.0)])
def test_metrics_return_named_numbers(returned):
    with pytest.raises(InputError, match="metrics: returned .* allowed are named numbers"):
        gt.compare(toy_gan(), {"direct": gt.Direct()}, lambda x: returned, 4)


@pytest.mark.parametrize("given", [["direct"], [gt.Direct(), gt.OBRS()], ("obrs",)])
def test_samplers_in_the_place_of_real_data_are_told(given):
    with pytest.raises(InputError, match="samplers come before real data"):
        gt.compare(toy_gan(), REAL, given)
