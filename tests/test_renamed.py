"""One word for one thing, and the old words for one version."""

from __future__ import annotations

import inspect

import pytest
import torch

import gantandem as gt
from gantandem.runs.recipe import FitSettings
from gantandem.testing import toy_gan

REAL = torch.randn(400, 2, generator=torch.Generator().manual_seed(0))
SHORT = {"schedule": [(2, 1e-3)], "batch": 50, "progress": False}
FUNCTIONS = {n: getattr(gt, n) for n in dir(gt) if inspect.isfunction(getattr(gt, n))}


def test_no_function_has_another_word_for_the_same():
    taken = {word for one in FUNCTIONS.values() for word in inspect.signature(one).parameters}
    others = {"mover", "pool", "count", "num_samples", "out_dir", "out", "lanes", "random_state"}
    assert not taken & others


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_words_mean_the_same_everywhere(name):
    if name == "shape":
        pytest.skip("the old name of shape_discriminator")
    parameters = inspect.signature(FUNCTIONS[name]).parameters
    defaults = {"seed": 0, "width": None, "progress": None}
    for word in defaults.keys() & parameters.keys():
        assert parameters[word].default == defaults[word], word
        assert parameters[word].kind is inspect.Parameter.KEYWORD_ONLY, word


def test_an_old_word_is_taken_with_a_warning_that_names_the_new_one():
    with pytest.warns(FutureWarning, match="fit_ratio: pool is now called n"):
        old = gt.fit_ratio(toy_gan(), REAL, pool=300, **SHORT)  # pyright: ignore
    new = gt.fit_ratio(toy_gan(), REAL, n=300, **SHORT)
    assert old.ratio(gt.Direct()).chosen == new.ratio(gt.Direct()).chosen
    with pytest.raises(TypeError, match="give n alone"):
        gt.fit_ratio(toy_gan(), REAL, n=300, pool=300)  # pyright: ignore
    with pytest.warns(FutureWarning, match="chain_report: mover is now called sampler"):
        gt.chain_report(toy_gan(), mover=gt.MALA(), chains=2, draws=4, burn_in=0)  # pyright: ignore


def test_a_generator_is_cut_and_its_old_name_warns():
    gan = toy_gan()
    with pytest.warns(FutureWarning, match="GAN: this method is now called cut"):
        assert gan.split("0") is gan.cut("0")


def test_older_recipes_are_read():
    assert FitSettings.model_validate({"pool": 300}).given() == {"n": 300}
    assert FitSettings.model_validate({"pool": 300, "n": 200}).n == 200


def test_a_seed_gives_other_generated_samples():
    one, two, again = (gt.diagnose(toy_gan(), REAL, seed=seed) for seed in (0, 1, 0))
    assert one.brier == again.brier != two.brier
    maps = [gt.calibrate(toy_gan(), REAL, seed=s).ratio(gt.Direct()).calibrator for s in (0, 1, 0)]
    assert maps[0] == maps[2] != maps[1]
