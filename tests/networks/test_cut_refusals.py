"""What cannot be cut, and what is said."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from cut_generators import LABELS, BigGAN, Custom, Wrapped, built, latents
from gantandem import adapt
from gantandem.errors import CutError
from gantandem.networks.cut import cut_at


def refused(generator, layer, *words, cond=None):
    with pytest.raises(CutError) as caught:
        cut_at(generator, layer, latents(), cond)
    for word in words:
        assert word in str(caught.value)
    assert not any("forward" in vars(m) for m in generator.modules())


def test_unknown_name_lists_near_matches():
    refused(built(Wrapped), "main.33", "no layer 'main.33'", "did you mean 'main.3'", "main.2.0, ")
    refused(built(Wrapped), "", "no layer ''", "allowed: latent, data")


def test_layer_called_twice_or_never():
    refused(built(Custom), "relu", "'relu' is called 4 times")
    refused(built(Custom), "blocks", "'blocks' is never called", "ModuleList")


def test_the_nearest_layers_are_named():
    refused(built(Custom), "blocks", "The nearest layers that can be cut: 'parts.last', 'blocks.0'")
    refused(built(lambda: Outputs("none")), "side", "The nearest layers that can be cut: 'fc'")


def test_adapters_change_no_names():
    s = cut_at(adapt.Then(built(Custom), nn.Tanh()), "blocks.1.fc", latents())
    assert s.layer == "blocks.1.fc"
    refused(adapt.Then(built(Custom), nn.Tanh()), "blocks.9", "did you mean 'blocks.")


class Outputs(nn.Module):
    """Layers whose outputs are of no use, by what `use` says."""

    def __init__(self, use):
        super().__init__()
        self.use = use
        self.fc = nn.Linear(6, 4)
        self.side = nn.Linear(6, 4)
        self.gru = nn.GRU(6, 4, batch_first=True)
        self.flat = nn.Flatten(0)
        self.labels = nn.Embedding(3, 4)

    def forward(self, z, y=None):
        x = self.fc(z)
        side = self.side(z)
        if self.use == "detached":
            x = x + side.detach()
        elif self.use == "gru":
            x = x + self.gru(z[:, None])[0][:, 0]
        elif self.use == "flat":
            x = x + self.flat(x).view(-1, 4)
        elif self.use == "noise":
            x = x + torch.randn_like(x)
        elif self.use == "fixed noise":
            x = x + torch.randn(4)
        elif self.use == "mixes":
            x = x + x.mean(0)
        elif self.use == "pair":
            return x, side
        elif self.use == "rows":
            return x[:1]
        return x


def test_output_that_does_not_reach_the_generators_output():
    refused(built(lambda: Outputs("none")), "side", "'side'", "does not reach")
    refused(built(lambda: Outputs("detached")), "side", "'side'", "does not reach")


def test_activation_must_be_one_float_tensor_with_rows():
    refused(built(lambda: Outputs("gru")), "gru", "one float tensor", "tuple")
    refused(built(lambda: Outputs("flat")), "flat", "one float tensor", "(16,) for 4 rows")


@pytest.mark.parametrize("use", ["noise", "fixed noise"])
@pytest.mark.parametrize("layer", ["fc", "latent", "data"])
def test_hidden_noise_is_refused(use, layer):
    refused(built(lambda: Outputs(use)), layer, "two outputs for one latent")


def test_mixed_rows_are_refused():
    refused(built(lambda: Outputs("mixes")), "fc", "'fc'", "mixes the rows of a batch")


@pytest.mark.parametrize("use", ["pair", "rows"])
def test_generator_must_return_one_tensor_of_rows(use):
    refused(built(lambda: Outputs(use)), "fc", "must return one tensor with a row")


def test_head_module_whose_output_has_no_rows_is_not_run_again():
    class Folds(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.fold, self.b = nn.Linear(6, 4), nn.Flatten(0), nn.Linear(6, 4)

        def forward(self, z):
            return self.b(z) + self.fold(self.a(z)).view(-1, 4)

    s = cut_at(built(Folds), "b", latents())  # the view has rows again
    torch.testing.assert_close(s.tail(*s.head(latents())), built(Folds)(latents()))

    class Late(Folds):
        def forward(self, z):
            folded = self.fold(self.a(z))
            return (self.b(z).view(-1) * folded).view(-1, 4)

    refused(built(Late), "b", "from before the cut has no row for each sample")


def test_output_overwritten_behind_the_back_of_replay_is_noticed():
    class Behind(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.relu = nn.Linear(6, 4), nn.ReLU(inplace=True)
            self.middle = nn.Linear(4, 4)

        def forward(self, z):
            h = self.a(z)
            self.relu(h)
            return self.middle(h) + h if torch.isfinite(h).all() else h

    refused(built(Behind), "middle", "differs from the generator's output")


def test_examples_must_be_enough_and_of_one_length():
    with pytest.raises(CutError, match="at least 4 example rows"):
        cut_at(built(Wrapped), "main.3", latents(n=3))
    with pytest.raises(CutError, match="as many in cond"):
        cut_at(built(BigGAN), "linear", latents(), LABELS[:5])


def test_condition_left_out_of_the_tail_is_named():
    class Late(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(6, 4)

        def forward(self, z, y):
            return self.fc(z) * y

    s = cut_at(built(Late), "fc", latents(), latents(4))
    activation, carry = s.head(latents(), latents(4))
    assert carry == ()
    with pytest.raises(CutError, match="needs cond"):
        s.tail(activation, carry)


def test_course_of_forward_that_changes_later_is_refused():
    class Course(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(6, 6), nn.Linear(6, 6)
            self.middle, self.last = nn.Linear(6, 4), nn.Linear(4, 2)

        def forward(self, z):
            h = self.a(z) if z.abs().max() < 100 else self.b(z)
            return self.last(self.middle(h))

    s = cut_at(built(Course), "middle", latents())
    torch.testing.assert_close(s.tail(*s.head(latents())), built(Course)(latents()))
    with pytest.raises(CutError, match="does not fit this call"):
        s.head(latents() * 1000)
