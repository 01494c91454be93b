"""What is known of a trained GAN: the one seam between a user's networks and the library."""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch import distributions as dist

from gantandem.condition import Condition, as_condition, check_condition
from gantandem.data.real import RealData
from gantandem.errors import InputError, near, needing, old_name
from gantandem.latent import PRIORS, Latent, as_latent
from gantandem.networks.cut import Cut
from gantandem.networks.doors import as_network, as_score, check_changed, check_networks, try_labels
from gantandem.networks.filed import Filed
from gantandem.networks.moving import moved
from gantandem.networks.networks import EXAMPLES, Networks
from gantandem.networks.observing import look_at
from gantandem.networks.score import Output, Score
from gantandem.networks.statistics import warn_unfilled
from gantandem.networks.value import read_only
from gantandem.ratios.law import Law
from gantandem.ratios.lookup import diagnosed, find_ratio, law_of, plain_law
from gantandem.ratios.ratio import Ratio
from gantandem.ratios.words import describe

if TYPE_CHECKING:
    from gantandem.discriminator.diagnostics import Diagnosis
    from gantandem.samplers.base import Mover


class GAN(Filed):
    """A trained generator with its guide, its ratios and everything else that is known of it.

    A GAN is a value that never changes: methods that improve it return a new one, and nothing
    writes to its attributes (``gan.replace(name=...)`` gives a GAN with another one). The user's
    modules are shared by these and never changed either; ``gan.networks`` runs them.

    Args:
        generator: Called as ``generator(z)`` or ``generator(z, condition)``.
        discriminator: Called as ``discriminator(x)`` or ``discriminator(x, condition)``. None when
            it was never published: then start with ``fit_ratio``.
        latent: The prior of z, a ``torch.distributions`` object, or the size or shape of a standard
            normal: with ``(100, 1, 1)`` the generator is given z of shape (N, 100, 1, 1).
        output: What the discriminator returns: ``"logit"`` (before a sigmoid), ``"prob"`` (after
            it) or ``"critic"`` (any other score; ``"hinge"``, ``"wgan"``, ``"lsgan"`` mean this).
        condition: What the networks are conditioned on: M rows as a tensor, an array or a list (id
            i gets row i mod M), one label, or a function from (N,) ids to N rows.
        compile: Compile guidance and the steps of ``refine`` (``torch.compile``, which needs a C++
            compiler); the first batch of every width and layer then takes many seconds.

    Attributes:
        guide: The discriminator whose gradient movers follow, or None.
        ratios: By the name of the law that each was fitted on.
        shaped: Whether ``shape`` made the guide.
        proposal: The mover that it was made for, or None.
        history: What ``shape`` measured on the way.
        reweighted: The prior that ``fit_latent_reweight`` found, or None.
        spread: Standard deviation of real data, as ``observe`` noted it, or None.
        real_logits: Mean, median and mean probability of the guide on real data, or None.
        specs: How to rebuild ``generator`` and ``guide`` from files, ``{"net": name, ...}`` each.
        setup_passes: Passes that shaping and fitting took.

    Raises:
        InputError: If the networks do not fit each other, or a row of their output depends on
            the other rows of the batch or on hidden noise (the layer is named).

    Example:
        >>> from torch import nn
        >>> gan = GAN(nn.Linear(2, 3), nn.Linear(3, 1), latent=2)
        >>> gan.decode(torch.zeros(4, 2)).shape
        torch.Size([4, 3])
    """

    _READ = {
        "generator": functools.partial(as_network, role="generator"),
        "guide": as_score,
        "latent": as_latent,
        "condition": as_condition,
        "ratios": read_only,
        "history": tuple,
        "specs": read_only,
    }
    _MADE = ("networks",)

    generator: nn.Module
    guide: Score | None
    latent: Latent
    condition: Condition | None
    compile: bool
    ratios: Mapping[str, Ratio]
    shaped: bool = False
    proposal: Mover | None = None
    history: tuple[dict[str, Any], ...] = ()
    reweighted: Latent | None = None
    spread: float | None = None
    real_logits: dict[str, float] | None = None
    specs: Mapping[str, dict[str, Any]]
    setup_passes: int = 0

    @needing(
        generator="GAN(G, D, latent=gt.Normal(2))",
        discriminator="GAN(G, D, latent=gt.Normal(2)), or GAN(G, None, ...) where there is none",
        latent=f"the prior of z that G was trained with, such as {PRIORS}",
    )
    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module | Score | None,
        latent: Latent | dist.Distribution | int | tuple[int, ...],
        *,
        output: Output = "logit",
        condition: Condition | None = None,
        compile: bool = False,
    ) -> None:
        self._note(generator=generator, latent=latent, condition=condition, compile=compile)
        self._note(guide=as_score(discriminator, output), ratios={}, specs={})
        check_networks(self.networks, [self.guide], generator=True)
        warn_unfilled(self.generator, "generator")
        warn_unfilled(self.guide and self.guide.network, "discriminator")
        if self.guide is not None and self.guide.output != "critic":
            self._note(ratios={plain_law(self): Ratio(self.guide, origin="shipped")})

    def __repr__(self) -> str:
        return describe(self)

    @functools.cached_property
    def networks(self) -> Networks:
        """What runs these networks."""
        return Networks(self)

    @property
    def device(self) -> torch.device:
        """Where the generator lives."""
        return self.networks.device

    def conditions(self, ids: Tensor) -> Tensor | None:
        """The condition of each id, or None: an id keeps its condition through every sampler."""
        return self.networks.conditions(ids)

    def decode(self, z: Tensor, cond: Tensor | None = None) -> Tensor:
        """Run the generator, in eval mode: (N, d) latents to (N, *x_shape) samples.

        Samples are float32, or float64 where the generator returns that.
        """
        return self.networks.decode(z, cond)

    def cut(self, layer: str) -> Cut:
        """Cut the generator at a named module, or at ``"latent"`` or ``"data"``.

        Raises:
            CutError: If it cannot be cut there; the message lists near matches.
        """
        return self.networks.cut(layer)

    split = old_name("cut")

    def check(self, network: nn.Module, output: Output = "logit") -> None:
        """Raise InputError if a network cannot score samples, or mixes the rows of a batch."""
        check_networks(self.networks, [as_score(network, output)])

    def law(self, mover: Mover) -> Law:
        """Name the law of a prepared mover's proposals (see :mod:`gantandem.ratios.law`).

        The name stands for everything the law depends on: what the generator computes, the
        latent, the kind of condition, the settings that the mover uses and, if it follows one,
        the guide. A law that a ratio was fitted on keeps the name that it had then.
        """
        return law_of(self, mover)

    def ratio(
        self, mover: Mover, *, strict: bool = True, quiet: bool = False, stale: bool = False
    ) -> Ratio:
        """Look up the ratio fitted on a prepared mover's law.

        Args:
            mover: Prepared, so that its law is known.
            strict: False judges by another law's ratio, with a warning.
            quiet: Do not say that a ratio was never diagnosed.
            stale: Take it also if its network was changed since, to calibrate or diagnose anew.

        Raises:
            LawMismatchError: If there is none and ``strict``; otherwise a warning is logged and
                the ratio of the plain generator judges. Or if the ratio's network was changed
                since it was fitted, calibrated or diagnosed.
            NotARatioError: If only a critic is at hand.
        """
        return find_ratio(self, mover, strict=strict, quiet=quiet, stale=stale)

    # -- new GANs out of old ones ---------------------------------------------------------------

    def replace(self, **changes: Any) -> GAN:
        """Make a GAN with some attributes changed; networks are shared, never copied.

        Raises:
            InputError: If there is no such attribute, or the networks no longer fit.
        """
        allowed = self._names()
        for name in changes.keys() - set(allowed):
            raise InputError(f"GAN.replace: unknown attribute {name!r}; {near(name, allowed)}")
        new = copy.copy(self)
        new._note(**changes)
        new._note(networks=Networks(new, self.networks))
        check_changed(new.networks, self.networks.scores, changes)
        return new

    def to(self, device: str | torch.device) -> GAN:
        """Make a GAN of copies of the networks on a device; the user's own modules stay.

        Where it is on that device already, the networks are shared. A prior that holds tensors of
        its own must be there: ``gan.replace(latent=...)``. InputError if there is no such device.
        """
        return self.replace(**moved(self, device))

    def observe(self, real: RealData, condition: Any = None, *, batch: int = 1000) -> GAN:
        """Note the spread of real data and the guide's logits on it; movers resolve from them.

        Args:
            real: (N, *x_shape) real samples, in any form that ``RealData`` names; of a ``Real``
                the ``fit`` part.
            condition: (N, ...) the condition of each, for a conditional GAN.
            batch: Samples scored at a time.

        Raises:
            DataError: If the samples cannot be read, are not finite, or have another shape than
                the generator's.
            InputError: If the conditions do not fit the samples or this GAN.
        """
        spread, logits = look_at(self.networks, real, condition, batch)
        return self.replace(spread=spread, real_logits=logits)

    def with_condition(self, condition: Condition) -> GAN:
        """Ask for other conditions of the same kind; guide and ratios hold for them as well.

        Args:
            condition: As for :class:`GAN`; for example ``torch.tensor([3])`` for one label.

        Raises:
            InputError: If it is not of the kind this GAN was made with.
        """
        new = copy.copy(self)
        new._note(condition=condition)
        networks = self.networks.given(condition=new.condition)
        new._note(networks=networks)
        own = self.networks.example_conditions()
        check_condition(own, networks.example_conditions(), EXAMPLES, "with_condition")
        try_labels(networks, networks.scores)
        return new

    def with_guide(self, network: nn.Module, output: Output = "logit") -> GAN:
        """Follow another network's gradient.

        Raises:
            InputError: If it does not take the generator's samples, or mixes the rows of a batch.
        """
        return self.replace(guide=as_score(network, output))

    def with_ratio(self, law: str, ratio: Ratio) -> GAN:
        """Add the ratio of a law.

        Raises:
            InputError: As :meth:`with_guide`.
        """
        return self.replace(ratios={**self.ratios, law: ratio})

    def with_diagnosis(self, diagnosis: Diagnosis) -> GAN:
        """Note what :func:`gantandem.diagnose` found on the ratio of its law.

        Raises:
            LawMismatchError: If this GAN holds no ratio of that law.
        """
        return self.with_ratio(diagnosis.law, diagnosed(self.ratios, diagnosis))
