"""What a refusal ends with: the condition that is missing, the wrapper, the line to write."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import foreign_models
from foreign_models import CTGANLike, Discriminator, Generator, Plain, seeded
from gantandem import GAN, adapt
from gantandem.errors import InputError


class ByLabel(Generator):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(3, 4)

    def forward(self, z, y):
        return self.body(z + self.embed(y))


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


class Asserts(Generator):
    def forward(self, z, class_labels=None):
        assert class_labels is not None
        return self.body(z)


class Beside(Generator):
    def forward(self, z, batch):
        return self.body(z) + batch["y"].view(-1, 1, 1, 1)


class ByName(Generator):
    def forward(self, *, z):
        return self.body(z)


class MayBeNone(Generator):
    def forward(self, z, noise):
        return self.body(z if noise is None else z + noise)


class FlatWithLabels(Discriminator):
    def __init__(self):
        super().__init__(16 + 3)


class Counts(Generator):
    """Another output at each call, and no noise."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, z):
        self.calls += 1
        return self.body(z) * self.calls


class Noisy(Discriminator):
    def forward(self, x):
        return self.body(x + torch.randn_like(x))


class TwoInAList(Generator):
    def __init__(self, size=4, noise=4):
        super().__init__(size)
        self.noise = nn.Linear(noise, size)

    def forward(self, inputs):
        z, noise = inputs
        return self.body(z + self.noise(noise))


class TwoByPlace(TwoInAList):
    """A batch of latents has rows by place as well."""

    def forward(self, inputs):
        return self.body((inputs[0] + self.noise(inputs[1])).reshape(-1, self.inputs))


class TwoArguments(TwoInAList):
    def forward(self, z, noise):
        return super().forward([z, noise])


class OneOfADict(Generator):
    def forward(self, batch):
        return self.body(batch["start"])


class TwoOfADict(TwoInAList):
    def forward(self, batch):
        return super().forward([batch["start"], batch["noise"]])


class OddLabel(ByLabel):
    def forward(self, z, klasse):
        return super().forward(z, klasse)


class OddKeyword(ByLabel):
    def forward(self, z, *, klasse):
        return super().forward(z, klasse)


class LooksUp(ByLabel):
    def forward(self, z, **others):
        return super().forward(z, others["klasse"])


class BothByName(ByLabel):
    def forward(self, *, start, klasse):
        return super().forward(start, klasse)


LABELS = torch.tensor([0, 1, 2])
SAID = {
    "an optional argument": (Asserts, None, None, r"asks for 'class_labels': pass condition="),
    "a condition's dict": (Beside, None, LABELS, r"Write adapt.AsDict\(G, 'y'\)"),
    "keywords alone": (ByName, None, None, r"Write adapt.Parts\(G, {'z': 4}\)"),
    "may be None": (MayBeNone, None, None, r"Write adapt.With\(G, {'noise': None}\)"),
    "flat with labels": (
        ByLabel, FlatWithLabels, LABELS,
        r"Write adapt.Reshape\(adapt.OneHot\(adapt.Joined\(D\), 3\), \(-1,\)\)",
    ),
    "vectors for labels": (ByLabel, None, torch.eye(3), "takes labels: pass condition= as integ"),
    "a dict as condition": (ByLabel, None, {"y": LABELS}, r"adapt.AsDict\(G, 'key'\)"),
    "another size": (lambda: Generator(7), None, None, r"takes \(8, 7\): pass latent=7"),
    "two in a list": (
        TwoInAList, None, None, r"Write adapt.Parts\(G, \(4, 4\), 'list'\) with latent=8$",
    ),
    "two of a list by place": (
        TwoByPlace, None, None, r"Write adapt.Parts\(G, \(4, 4\), 'list'\) with latent=8$",
    ),
    "two in a list, of other sizes": (
        lambda: TwoInAList(7, 3), None, None,
        r"Write adapt.Parts\(G, \(7, 3\), 'list'\) with latent=10$",
    ),
    "two arguments": (
        TwoArguments, None, None, r"Write adapt.Parts\(G, \(4, 4\)\) with latent=8$",
    ),
    "a dict of one": (OneOfADict, None, None, r"adapt.Parts\(G, {'start': 4}, 'dict'\)$"),
    "a dict of two": (
        TwoOfADict, None, None,
        r"Write adapt.Parts\(G, {'start': 4, 'noise': 4}, 'dict'\) with latent=8$",
    ),
    "a label by an odd name": (OddLabel, None, None, "asks for 'klasse': pass condition="),
    "an odd keyword": (OddKeyword, None, None, "asks for 'klasse': pass condition="),
    "an odd keyword, given": (OddKeyword, None, LABELS, r"Write adapt.Keyword\(G, 'klasse'\)$"),
    "looked up": (LooksUp, None, None, "asks for 'klasse': pass condition="),
    "looked up, given": (LooksUp, None, LABELS, r"Write adapt.Keyword\(G, 'klasse'\)$"),
    "both by odd keywords": (
        BothByName, None, LABELS, r"Write adapt.Keyword\(G, 'klasse', 'start'\)$",
    ),
    "noise of a discriminator": (Generator, Noisy, None, r"write adapt.FixedNoise\(D\)"),
}  # fmt: skip


@pytest.mark.parametrize("name", SAID)
def test_the_line_is_named(name):
    generator, discriminator, condition, said = SAID[name]
    d = None if discriminator is None else seeded(discriminator)
    with pytest.raises(InputError, match=said):
        GAN(seeded(generator), d, 4, condition=condition)


def test_what_is_written_works():
    """The lines themselves, pasted, with the latent that they name."""
    for kind in (TwoInAList, TwoByPlace, TwoArguments, OneOfADict, TwoOfADict):
        g = seeded(kind)
        with pytest.raises(InputError) as caught:
            GAN(g, None, 4)
        line, _, latent = str(caught.value).partition(". Write ")[2].partition(" with latent=")
        assert GAN(eval(line, {"adapt": adapt, "G": g}), None, int(latent or 4)).decode


@pytest.mark.parametrize(("wrap", "said"), [
    (lambda g: adapt.Keyword(g, "lable"), "has no argument 'lable'; did you mean 'label'?"),
    (lambda g: adapt.Keyword(g, "label", "zed"), "has no argument 'zed'; did you mean 'z'?"),
    (lambda g: adapt.With(g, {"labels": 3}), "did you mean 'label'?"),
    (lambda g: adapt.Parts(g, {"zz": 4}), "did you mean 'z'?"),
    (
        lambda g: adapt.Keyword(adapt.Item(g, 0), "label"),
        "put Keyword inside Item: adapt.Item(adapt.Keyword(G, 'label'), ...)",
    ),
])  # fmt: skip
def test_a_name_that_the_forward_has_not(wrap, said):
    class Own(ByLabel):
        def forward(self, z, label):
            return super().forward(z, label)

    with pytest.raises(InputError) as caught:
        wrap(seeded(Own))
    assert said in str(caught.value)


def test_the_width_of_latents_that_are_cut():
    with pytest.raises(InputError, match=r"takes \(8, 20\): pass latent=20 \("):
        GAN(adapt.NoiseFromLatent(seeded(foreign_models.Noisy), 4), None, 4)
    with pytest.raises(InputError, match=r"takes \(8, 8\): pass latent=8 \("):
        GAN(adapt.Then(adapt.Parts(seeded(TwoInAList), (4, 4), "list"), nn.Tanh()), None, 4)


class Wider(nn.Module):
    def forward(self, z):
        return z @ torch.zeros(7, 2)


@pytest.mark.parametrize("kind", [Wider, Counts])
def test_nothing_is_advised_that_does_not_help(kind):
    with pytest.raises(InputError) as caught:
        GAN(kind(), None, 4)
    assert "adapt" not in str(caught.value)


def test_the_kinds_of_output_are_named_by_their_losses():
    with pytest.raises(InputError, match=r"'logit' \(BCE and non-saturating.*relativistic"):
        GAN(seeded(Generator), seeded(Discriminator), 4, output="bce")  # pyright: ignore


def test_wrappers_are_taken_off_at_the_door():
    g, d = seeded(Generator), seeded(Discriminator)
    gan = GAN(nn.DataParallel(g), torch.compile(d, backend="eager"), 4)  # pyright: ignore
    assert gan.generator is g and gan.guide.network is d
