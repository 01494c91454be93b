"""Real data of another range than the generator makes are told."""

from __future__ import annotations

import re

import pytest
import torch

from gantandem import Real
from gantandem.discriminator.parts import parts_for
from gantandem.errors import DataError
from matching_gans import CALLS, UNIT, gan, noise

IMAGENET = (UNIT - 0.45) / 0.225
SAYS = "A discriminator could tell them apart by this range alone"


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("given", ["tensor", "parts"])
def test_another_range_is_told_once_in_every_call(call, given, caplog):
    real = 255 * UNIT
    CALLS[call](gan(3, 8, 8), real if given == "tensor" else Real(*[real] * 4))
    assert caplog.text.count(SAYS) == 1
    assert "real / 127.5 - 1" in caplog.text


@pytest.mark.parametrize("size", [(3, 8, 8), (192,), (8, 24)], ids=str)
@pytest.mark.parametrize(
    "last, real, words",
    [
        (torch.tanh, 255 * UNIT, r"real / 127\.5 - 1"),
        (torch.tanh, UNIT, r"map \[0, 1\] to \[-1, 1\]: real \* 2 - 1"),
        (torch.tanh, IMAGENET, r"undo what normalised them .*map to \[-1, 1\]"),
        (torch.sigmoid, 255 * UNIT, "real / 255"),
        (torch.sigmoid, 2 * UNIT - 1, r"map \[-1, 1\] to \[0, 1\]: \(real \+ 1\) / 2"),
        (torch.sigmoid, IMAGENET, "undo what normalised them"),
        (lambda v: 255 * torch.sigmoid(v), UNIT, r"map to bytes: real \* 255"),
        (lambda v: 255 * torch.sigmoid(v), 2 * UNIT - 1, r"map to bytes: \(real \+ 1\) \* 127\.5"),
        (lambda v: 1.3 * v, 2 * UNIT - 1, "normalise them as the generator's training data"),
        (torch.tanh, 1000 * noise(100, 3, 8, 8), "undo what normalised them"),
        (lambda v: 0.1 * v, 1000 * noise(100, 3, 8, 8), "map them as the generator's"),
    ],
    ids=range(11),
)
def test_what_each_range_should_be_mapped_to(size, last, real, words, caplog):
    g = gan(*size, last=last)
    parts_for(g, real.reshape(100, *size), "real")
    assert SAYS in caplog.text
    assert re.search(words, caplog.text)


@pytest.mark.parametrize("last, words", [(torch.tanh, "127.5 - 1"), (torch.sigmoid, "/ 255")])
@pytest.mark.parametrize("call", CALLS)
def test_bytes_of_another_range_are_refused(call, last, words):
    with pytest.raises(DataError, match="map bytes") as error:
        CALLS[call](gan(3, 8, 8, last=last), (255 * UNIT).to(torch.uint8))
    assert words in str(error.value)


def test_bytes_of_the_generators_range_are_welcome(caplog):
    g = gan(3, 8, 8, last=lambda v: 255 * torch.sigmoid(v))
    assert parts_for(g, (255 * UNIT).to(torch.uint8), "real").fit.dtype == torch.float32
    g = gan(20, last=torch.sigmoid)
    parts_for(g, torch.randint(2, (100, 20)).to(torch.uint8), "real")
    assert not caplog.text


@pytest.mark.parametrize(
    "last, real",
    [
        (torch.tanh, 2 * UNIT - 1),
        (torch.tanh, (2 * UNIT - 1).clamp(-0.3, 0.3)),  # a narrower range than G's
        (torch.sigmoid, UNIT),
        (torch.sigmoid, 0.05 * UNIT),  # dark
        (lambda v: 0.01 * torch.tanh(v), 2 * UNIT - 1),  # untrained: its range is not known yet
        (lambda v: torch.tanh(0.2 * v), 2 * UNIT - 1),
        (lambda v: 0.03 * v, UNIT),
        (lambda v: v, 2 * noise(100, 3, 8, 8)),  # no bounds
        (lambda v: 0.1 * v, noise(100, 3, 8, 8)),  # modes lost
        (lambda v: v, noise(100, 3, 8, 8) + 5),
        (lambda v: v, noise(100, 3, 8, 8).exp() ** 2),  # a heavy tail
        (lambda v: 0 * v - 1, 2 * UNIT - 1),  # collapsed
    ],
    ids=range(12),
)
def test_nothing_is_said_of_what_may_be_the_generators_fault(last, real, caplog):
    for size in ((3, 8, 8), (192,)):
        parts_for(gan(*size, last=last), real.reshape(100, *size), "real")
    assert "data lie" not in caplog.text


@pytest.mark.parametrize(
    "real",
    [
        10 * noise(300, 2),
        100 + noise(300, 2),
        torch.rand(300, 2),
        2 * torch.rand(300, 2) - 1,
        torch.rand(300, 2) * 20,
        1e-3 * noise(300, 2),
        7 * torch.stack([torch.arange(300.0).sin(), torch.arange(300.0).cos()], 1),
    ],
    ids=range(7),
)
@pytest.mark.parametrize("last", [torch.tanh, lambda v: v, lambda v: 0.01 * v], ids=range(3))
def test_nothing_is_said_of_points(last, real, caplog):
    parts_for(gan(2, last=last), real, "real")
    assert "data lie" not in caplog.text


def test_a_column_of_a_table_on_another_scale_is_told(caplog):
    table = noise(300, 4)
    table[:, 2] = 30_000 + 20_000 * torch.rand(300)
    parts_for(gan(4, last=lambda v: v), table, "fit_ratio real")
    assert "map column 2 as the generator's training data were" in caplog.text


def test_parts_of_another_range_than_the_others_are_told(caplog):
    good = 2 * UNIT - 1
    parts_for(gan(3, 8, 8), Real(good, good, good, 255 * UNIT), "diagnose real")
    assert "part 'test'" in caplog.text
