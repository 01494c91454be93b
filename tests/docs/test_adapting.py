"""The page "Networks of others": every line of its tables makes its network fit."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

import foreign_models as foreign
import gantandem as gt
from foreign_models import Discriminator, Generator, seeded
from gantandem import adapt

PAGE = (Path(__file__).parents[2] / "docs" / "adapting.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (?!---|your|as published)(.+?) \| (.+?) \|", PAGE, re.MULTILINE)
SAMPLES = torch.randn(3, 1, 4, 4, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 2])


class OnePixel(Generator):
    def __init__(self):
        super().__init__(100)


class Flat(Discriminator):
    def forward(self, x):
        return self.out(torch.tanh(self.fc(x)))


KINDS = {
    "`G(z)`, z of shape": OnePixel,
    "`D(x)`, x flat": Flat,
    "`G([z])`": foreign.TakesList,
    "`G(z, noise)`": foreign.TakesTwo,
    "`G(image)`": None,
    "`G(z, noise_mode": foreign.Noisy,
    "`D(real, made)`": foreign.HiFiLike,
    "G of half": lambda: Generator().half(),
    "a network in `DataParallel`": None,
    "`G(z, y=labels)`": foreign.ByKeyword,
    "`G(z, onehot)`": foreign.ByVector,
    "`G(z, G.shared(y))`": foreign.BigGANLike,
    '`G({"z": z': foreign.ByDict,
    "`G(torch.cat": foreign.Concatenated,
    "D without": Discriminator,
    "`D(x)` with a score": foreign.Domains,
    "a tuple": foreign.WithFeatures,
    "a dict": foreign.ReturnsFields,
    "one map": None,
    "a list of maps": foreign.Scales,
    "lists of features": foreign.Pix2PixHD,
    "real and made": foreign.HiFiLike,
    "several": foreign.Scales,
    "logits of classes": foreign.Classes,
    "a probability": foreign.EndsInSigmoid,
    "1 for generated": Discriminator,
    "anything": Generator,
    "it may be": foreign.Noisy,
    "a few numbers": foreign.Noisy,
    "large maps": foreign.Noisy,
    "minibatch": foreign.StdDev,
    "packs of rows": foreign.CTGANLike,
    "packs of channels": lambda: Discriminator(16 * 4),
    "drawn again": None,
    "clipped": None,
    "the released": None,
    "shrunk": None,
    "StyleGAN": lambda: foreign.Mapped(average=True),
}
CONDITIONAL = (
    "`G(z, y", "`G(z, onehot", "`G(z, G.shared", '`G({"z"', "`G(torch.cat", "D without",
    "`D(x)` with a score",
)  # fmt: skip


def lines():
    for case, write in ROWS:
        for line in re.findall(r"`((?:adapt|gt)\.[^`]+)`", write):
            yield case, line


def test_every_row_is_known():
    assert all(any(case.startswith(key) for key in KINDS) for case, _ in ROWS)
    assert len(ROWS) == len(KINDS)


@pytest.mark.parametrize(("case", "line"), list(lines()))
def test_the_line_makes_it_fit(case, line):
    kind = next(kind for key, kind in KINDS.items() if case.startswith(key))
    names = {"adapt": adapt, "gt": gt, "torch": torch, "samples": SAMPLES}
    if line.startswith("gt."):
        gan = gt.GAN(seeded(Generator), None, 4)
        assert gt.sample(gan, eval(line, names), 4).x.isfinite().all()
        return
    network = seeded(kind)
    names.update(G=network, D=network, E=seeded(Discriminator))
    made = eval(line, names)
    conditional = case.startswith(CONDITIONAL)
    condition = LABELS if conditional else None
    if re.search(r"\bG\b", line):
        if isinstance(network, foreign.TakesList):
            made = adapt.Item(made, 0)
        latent = getattr(made, "columns", 8 if "noise)" in case else 100 if "100" in case else 4)
        gan = gt.GAN(made, None, latent, condition=condition)
        assert gan.decode(*gan.networks.examples()).shape[0] == 8
    else:
        made = adapt.Mean(made) if "real, made" in case else made
        g = adapt.WithoutCondition(seeded(Generator)) if conditional else seeded(Generator)
        gan = gt.GAN(g, made, 4, condition=condition)
        assert gan.guide is not None


def test_the_blocks_run():
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names = {
        "G": seeded(foreign.ByKeyword), "D": adapt.WithoutCondition(seeded(foreign.WithFeatures)),
        "labels": LABELS, "images": SAMPLES, "translator": seeded(foreign.TakesImages),
    }  # fmt: skip
    exec(blocks[0], names)
    names["D"] = seeded(Discriminator)
    exec(blocks[1], names)
    assert len(names["out"]) == 3 and len(blocks) == 2
