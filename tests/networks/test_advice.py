"""What a refusal ends with: the condition that is missing, the wrapper, the line to write."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from foreign_models import CTGANLike, Discriminator, Generator, Plain, seeded
from gantandem import GAN
from gantandem.errors import InputError


class Asks(Generator):
    def __init__(self, name):
        super().__init__()
        body = f"lambda self, z, {name}: self.body(z)"
        self.__class__ = type("Asks", (Asks,), {"forward": eval(body)})


@pytest.mark.parametrize("name", ["c", "y", "label", "labels", "class_labels"])
def test_a_missing_condition_is_asked_for(name):
    said = rf"asks for '{name}': pass condition=.*adapt.With\(G, {{'{name}': None}}\)"
    with pytest.raises(InputError, match=said):
        GAN(Asks(name), None, 4)

    class Scores(Discriminator):
        forward = Asks(name).forward.__func__

    with pytest.raises(InputError, match=rf"Scores does not take.*asks for '{name}': pass cond"):
        GAN(seeded(Generator), Scores(), 4)


def test_an_assertion_of_the_network_is_no_traceback():
    with pytest.raises(InputError, match=r"AssertionError. Write adapt.Packed\(D, samples\)"):
        GAN(seeded(Generator), CTGANLike(pac=10), 4)


def test_flat_samples():
    with pytest.raises(InputError, match=r"Write adapt.Reshape\(D, \(-1,\)\)"):
        GAN(seeded(Generator), nn.Linear(16, 1), 4)


@pytest.mark.parametrize(("shape", "said"), [
    ((5,), "adapt.Mean(D) if these are patches, adapt.LogOdds(D) if they are classes"),
    ((2, 3, 3), "adapt.Mean(D) if these are patches"),
])  # fmt: skip
def test_several_scores(shape, said):
    d = Plain(16, torch.Size(shape).numel(), shape)
    with pytest.raises(InputError) as caught:
        GAN(seeded(Generator), d, 4)
    assert said in str(caught.value)


def test_nothing_is_advised_that_does_not_help():
    with pytest.raises(InputError) as caught:
        GAN(nn.Linear(7, 2), None, 4)
    assert "adapt" not in str(caught.value)


def test_the_kinds_of_output_are_named_by_their_losses():
    with pytest.raises(InputError, match=r"'logit' \(BCE and non-saturating.*relativistic"):
        GAN(seeded(Generator), seeded(Discriminator), 4, output="bce")  # pyright: ignore


def test_wrappers_are_taken_off_at_the_door():
    g, d = seeded(Generator), seeded(Discriminator)
    gan = GAN(nn.DataParallel(g), torch.compile(d, backend="eager"), 4)  # pyright: ignore
    assert gan.generator is g and gan.guide.network is d
