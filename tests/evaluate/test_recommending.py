"""Which sampler to use: the cheapest that is as good as the best, and worse in nothing."""

from __future__ import annotations

import json
import math
import re

import pytest
import torch

import gantandem as gt
from gantandem.display.table import COLUMNS
from gantandem.errors import CutError, DataError, InputError
from gantandem.evaluate import recommending
from gantandem.evaluate.recommendation import Recommendation, Tried
from gantandem.testing import toy_gan

C2ST = next(one for one in COLUMNS if one.key == "c2st")
NOISE = (0.01, -0.01, 0.005, -0.005, 0.008, -0.008, 0.0, 0.0)


def tried(c2st, passes, **others):
    """A candidate whose metrics lie around these values."""
    values = {"c2st": c2st, "sliced_w1": 0.3, "precision": 0.9, **others}
    blocks = {
        key: tuple(value + (-1) ** at * noise for noise in NOISE)
        for at, (key, value) in enumerate(values.items())
    }
    return Tried(toy_gan(), gt.Direct(), passes, 0, blocks)


def recommended(**candidates):
    return Recommendation({"direct": tried(0.8, 1), **candidates}, C2ST)


def test_the_cheapest_of_those_that_are_alike():
    found = recommended(obrs=tried(0.601, 8), costly=tried(0.6, 300), middling=tried(0.7, 2))
    assert found.name == "obrs" and not found.harms("obrs")
    assert found.verdict.startswith("Use obrs: C2ST 0.601 ± 0.006 against 0.800 ± 0.006 of plain")
    assert "costly is no better beyond chance (0.600 ± 0.006), at 300 passes" in found.verdict


def test_of_two_that_differ_the_better_one():
    assert recommended(obrs=tried(0.65, 8), costly=tried(0.6, 300)).name == "costly"


def test_below_one_half_is_no_better_than_as_far_above():
    assert recommended(under=tried(0.2, 2)).name == "direct"
    assert recommended(under=tried(0.45, 2)).name == "under"


@pytest.mark.parametrize(
    "harm, label",
    [({"sliced_w1": 0.4}, "sliced W1"), ({"precision": 0.8}, "precision")],
)
def test_what_is_worse_in_any_respect_is_told_but_not_recommended(harm, label):
    found = recommended(obrs=tried(0.7, 8), whole=tried(0.55, 8, **harm))
    assert found.name == "obrs" and [one.label for one in found.harms("whole")] == [label]
    assert f"worse than plain samples in other respects ({label}" in found.verdict
    alone = recommended(whole=tried(0.55, 8, **harm))
    assert alone.name == "direct" and alone.verdict.startswith("Use plain samples")
    assert "whole has C2ST 0.550" in alone.verdict


def test_a_costly_one_that_is_worse_otherwise_tempts_nobody():
    found = recommended(obrs=tried(0.6, 8), whole=tried(0.65, 80, sliced_w1=0.9))
    assert found.name == "obrs" and "whole" not in found.verdict


def test_differences_of_chance_and_of_two_percent_are_none():
    assert recommended(other=tried(0.79, 2)).name == "direct"  # less than 2%
    noisy = Tried(toy_gan(), gt.Direct(), 2, 0, {"c2st": (0.4, 0.9, 0.5, 0.95, 0.3, 0.9, 0.6, 0.9)})
    plain = Tried(toy_gan(), gt.Direct(), 1, 0, {"c2st": (0.8,) * 8})
    assert Recommendation({"direct": plain, "noisy": noisy}, C2ST).name == "direct"


def test_density_above_one_is_no_gain_and_its_loss_no_harm():
    found = Recommendation(
        {"direct": tried(0.8, 1, density=1.3), "obrs": tried(0.6, 2, density=0.97)}, C2ST
    )
    assert found.name == "obrs"
    found = Recommendation(
        {"direct": tried(0.8, 1, density=1.0), "obrs": tried(0.6, 2, density=0.8)}, C2ST
    )
    assert found.name == "direct"


def test_collaborative_is_named_where_it_is_not_the_answer():
    found = recommended(obrs=tried(0.6, 8), collaborative=tried(0.66, 300))
    assert found.verdict.endswith("collaborative is not better here: 0.660 ± 0.006.")


def test_it_prints_and_is_plain_data():
    found = recommended(obrs=tried(0.6, 8))
    lines = str(found).splitlines()
    assert lines[0].split() == [
        "C2ST",
        "sliced",
        "W1",
        "precision",
        "passes",
        *"worse than plain in".split(),
    ]
    assert lines[2].startswith("→ obrs") and lines[3] == found.verdict
    kept = json.loads(json.dumps(found.to_dict()))
    assert kept["recommended"] == "obrs" and kept["verdict"] == found.verdict
    assert kept["candidates"]["obrs"]["metrics"]["c2st"] == pytest.approx(0.6)
    assert list(found.to_pandas().index) == ["direct", "obrs"]


def real(n=4000):
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "given, wanted",
    [
        (lambda _: {"c2st": math.nan}, "returned NaN"),
        (lambda _: 3, "allowed are named numbers"),
        (lambda _: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_a_metric_that_gives_no_number_is_told(given, wanted):
    with pytest.raises(InputError, match=f"plain samples cannot be measured: .*{wanted}"):
        gt.recommend(toy_gan(), real(), ["obrs"], n=300, metrics=lambda _: given, progress=False)


def test_a_metric_that_some_candidate_lacks_leaves_it_out():
    calls = []

    def measure(x):
        calls.append(len(x))
        return {"c2st": 0.6, **({"precision": 0.9} if len(calls) <= 3 else {})}

    found = gt.recommend(toy_gan(), real(), ["obrs"], n=300, metrics=lambda _: measure)
    assert found.failed == {"obrs": "precision was measured on plain samples only"}


def test_where_all_are_told_at_once_another_metric_ranks():
    def metrics(block):
        return lambda x: {"c2st": 0.999, "sliced_w1": float(x.mean().abs()) + 0.01 * block}

    found = gt.recommend(toy_gan(), real(), ["obrs"], n=400, metrics=metrics, progress=False)
    assert found.by.key == "sliced_w1"
    found = gt.recommend(toy_gan(), real(), ["obrs"], n=400, metrics=metrics, by="c2st")
    assert found.by.key == "c2st"


def test_a_wide_interval_is_told():
    wide = Tried(toy_gan(), gt.Direct(), 1, 0, {"c2st": (0.6, 0.9, 0.7, 0.95, 0.6, 0.9, 0.7, 0.9)})
    found = Recommendation({"direct": wide, "obrs": wide}, C2ST)
    assert "The interval of C2ST is wide (0.781 ± 0.1" in found.verdict
    assert "wide" not in recommended(obrs=tried(0.79, 2)).verdict


def test_data_that_lie_on_a_disk_are_measured_against(monkeypatch):
    from gantandem.data import incoming

    monkeypatch.setattr(incoming, "_is_large", lambda data: True)
    found = gt.recommend(toy_gan(), real(), ["obrs"], n=300, progress=False)
    assert set(found.tried) == {"direct", "obrs"}


def test_an_unknown_layer_is_refused_before_anything_is_fitted(monkeypatch):
    monkeypatch.setattr(recommending, "_try", lambda *_: pytest.fail("drawn"))
    with pytest.raises(CutError, match="no layer 'nett'"):
        gt.recommend(toy_gan(), real(), n=300, layers=["nett"], progress=False)


def test_candidates_of_ones_own_stand_beside_plain_samples(caplog):
    class Fails(gt.Direct):
        name = "fails"

        def init(self, *_):
            raise InputError("this one fails")

    named = {"obrs": "obrs", "direct": "direct", "fails": Fails()}
    found = gt.recommend(toy_gan(), real(), named, n=400, progress=False)
    assert list(found.tried) == ["direct", "obrs"] and "this one fails" in found.failed["fails"]
    assert "fails was not measured: " in str(found)
    out = gt.sample(found.gan, found.sampler, 10, progress=False)
    assert len(out) == 10
    again = gt.recommend(toy_gan(), real(), named, n=400, progress=False)
    assert again.to_dict() == found.to_dict()


def test_a_metric_of_ones_own_ranks():
    """By any metric with a known direction; samples and blocks belong together."""
    seen = []

    def metrics(block):
        def measure(x):
            seen.append((block, len(x)))
            return {"frechet_distance": float(x.mean() ** 2), "mine": 1.0}

        return measure

    found = gt.recommend(toy_gan(), real(), ["obrs"], n=500, metrics=metrics, progress=False)
    assert found.by.key == "frechet_distance" and seen[:5] == [(at, 100) for at in range(5)]
    with pytest.raises(InputError, match="by: got 'c2st'; allowed: frechet_distance"):
        gt.recommend(toy_gan(), real(), n=500, metrics=metrics, by="c2st", progress=False)
    with pytest.raises(InputError, match="whether high or low is better"):
        gt.recommend(toy_gan(), real(), n=500, metrics=lambda _: lambda x: {"mine": 1.0})


@pytest.mark.parametrize(
    "n, rows, word", [(299, 4000, "n = 299"), (4000, 1000, "held-out real ones")]
)
def test_too_few_to_tell_chance_from_a_difference(n, rows, word):
    with pytest.raises(DataError, match=word):
        gt.recommend(toy_gan(), real(rows), n=n, progress=False)


@pytest.mark.slow
@pytest.mark.parametrize("guided", [True, False])
def test_everything_is_tried_from_nothing_but_a_gan(guided, caplog):
    """A generator that is too wide, with a discriminator or without one."""
    gan = toy_gan()
    if not guided:
        gan = gt.GAN(gan.generator, None, gan.latent)
    small = {"n": 2000, "schedule": [(20, 1e-3)], "batch": 100}
    shape = {"updates": 20, "batch": 50, "check_samples": 200, "refine": None}
    shape.pop("refine")
    caplog.set_level("INFO", "gantandem.progress")
    found = gt.recommend(
        gan, 0.3 * real(), n=400, layers=["latent", "data"],
        fit_options=small, shape_options=shape, progress=False,
    )  # fmt: skip
    (told,) = [text for text in caplog.messages if text.startswith("recommend: up to ")]
    assert re.match(r"recommend: up to 9 candidates of 400 samples, .* in about \d+ ", told)
    kept = found.to_dict()
    assert kept["settings"] == {"n": 400, "seed": 0, "budget": None, "backbone": None}
    sizes = kept["candidates"]["collaborative at data"]["sizes"]
    assert sizes["fit_ratio"]["n"] == 2000 and sizes["shape"]["updates"] == 20
    assert kept["candidates"]["direct"]["sizes"].keys() <= {"fit_ratio"}
    names = set(found.tried)
    assert {"direct", "obrs, K = 2", "obrs, K = 8", "refine at latent", "refine at data"} <= names
    assert {"collaborative at latent", "collaborative at data"} <= names and not found.failed
    out = gt.sample(found.gan, found.sampler, 20, progress=False)
    assert out.x.isfinite().all() and math.isfinite(
        found.tried["collaborative at data"].mean("c2st")
    )
    assert found.tried["collaborative at data"].setup > found.tried["direct"].setup
