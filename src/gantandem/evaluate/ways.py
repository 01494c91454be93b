"""What may be better than plain samples on a GAN: candidates of a recommendation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from gantandem.data.real import Real
from gantandem.discriminator import fit_ratio, shape_discriminator
from gantandem.discriminator.sizes import GRADIENT, Budget, seconds
from gantandem.engine.sampling import prepare
from gantandem.errors import GANtandemError
from gantandem.gan import GAN
from gantandem.networks.layers import middle
from gantandem.samplers.base import Mover, Selector
from gantandem.samplers.collaborative import collaborative
from gantandem.samplers.direct import Direct
from gantandem.samplers.obrs import OBRS
from gantandem.samplers.refine import Refine

EXPECTED = (2.0, 4.0, 8.0)
COLLABORATIVE = 4.0
"""Refined proposals a sample, roughly."""
SHARES = {"fit": 0.08, "shape": 0.2}
"""Of a budget, for each fit and each shaping; what is left draws and measures."""


class Candidate(NamedTuple):
    """A sampler, and the GAN that it draws from."""

    name: str
    gan: GAN
    sampler: Mover | Selector


def sizes_of(gan: GAN, law: str) -> dict[str, dict[str, Any]]:
    """With which sizes the guide of a GAN was shaped and the ratio of a law fitted, if known."""
    ratio, shaped = gan.ratios.get(law), gan.history[0].get("sizes") if gan.history else None
    fitted = ratio.chosen.get("sizes") if ratio is not None and ratio.chosen else None
    found = {"shape": shaped, "fit_ratio": fitted}
    return {step: dict(sizes) for step, sizes in found.items() if sizes}


class Ways:
    """What may be better than plain samples on a GAN: each made when it is asked for."""

    def __init__(
        self,
        gan: GAN,
        parts: Real,
        options: dict[str, Any],
        budget: Budget | None,
        fit: Mapping[str, Any],
        shape: Mapping[str, Any],
        failed: dict[str, str],
    ) -> None:
        time = None if budget is None else seconds(budget, "recommend")
        each = {name: None if time is None else share * time for name, share in SHARES.items()}
        self.gan, self.parts, self.failed = gan, parts, failed
        self.fit = {"budget": each["fit"], **options, **fit}
        self.shape = {"budget": each["shape"], **options, **shape}

    def passes(self, layers: Sequence[str] | None) -> list[float]:
        """Roughly the passes a sample of what there is to try, but for plain samples."""
        shaped = self.gan.proposal
        steps = shaped.steps if isinstance(shaped, Refine) else Refine().steps
        places = 1 if isinstance(shaped, Refine) else len(self._layers(self.gan, layers))
        refined = 1.0 + GRADIENT * steps
        return [*EXPECTED, OBRS().expected, *[refined, refined * COLLABORATIVE] * places]

    def _layers(self, gan: GAN, layers: Sequence[str] | None) -> list[str]:
        given = ("latent", middle(gan), "data") if layers is None else layers
        return [one for one in given if one is not None]

    def accepted(self) -> Iterator[Candidate]:
        """OBRS on plain samples."""
        fitted = self._fitted("obrs", self.gan, Direct())
        if fitted is None:
            return
        self.gan = fitted
        for expected in EXPECTED:
            yield Candidate(f"obrs, K = {expected:g}", fitted, OBRS(expected=expected))
        ratio = fitted.ratio(Direct())
        rows = ratio.chosen["candidates"] if ratio.chosen else []
        clear = min((row["log_loss"] for row in rows), default=None)
        own = next((row["log_loss"] for row in rows if row["name"] == ratio.chosen["name"]), None)
        if ratio.strength < 1 or clear != own:
            whole = self._fitted("obrs, all of r", self.gan, Direct(), strength=1.0, again=True)
            if whole is not None:
                yield Candidate("obrs, all of r", whole, OBRS())

    def refined(self, layers: Sequence[str] | None) -> Iterator[Candidate]:
        """Refinement along the guide, shaped at each layer, or as the GAN was shaped."""
        shaped = self.gan.proposal
        if isinstance(shaped, Refine):
            yield Candidate("refine", self.gan, replace(shaped, defensive=0.0))
            return
        guided = self.gan
        if guided.guide is None:
            found = self._fitted("refine", guided, Direct(), as_guide=True, again=True)
            if found is None:
                return
            guided = found
        for layer in self._layers(guided, layers):
            name = f"refine at {layer}"
            refine = Refine(layer=layer, defensive=0.5)
            try:
                gan = shape_discriminator(guided, self.parts, refine=refine, **self.shape)
            except GANtandemError as error:
                self.failed[name] = str(error)
                continue
            assert isinstance(gan.proposal, Refine)
            yield Candidate(name, gan, replace(gan.proposal, defensive=0.0))

    def collaborative(self, refined: Candidate) -> Iterator[Candidate]:
        """A refinement with acceptance."""
        assert refined.gan.proposal is not None
        name = refined.name.replace("refine", "collaborative", 1)
        fitted = self._fitted(name, refined.gan, refined.gan.proposal)
        if fitted is not None:
            yield Candidate(name, fitted, collaborative(fitted))

    def _fitted(self, name: str, gan: GAN, mover: Mover, again: bool = False, **more: Any) -> Any:
        """The GAN with a ratio of the mover's law: that which it has, or one fitted now."""
        ratio = gan.ratios.get(gan.law(prepare(gan, mover).sampler))
        if ratio is not None and ratio.origin == "fitted" and not again:
            return gan
        try:
            return fit_ratio(gan, self.parts, proposal=mover, **{**self.fit, **more})
        except GANtandemError as error:
            self.failed[name] = str(error)
            return None
