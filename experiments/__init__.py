"""The papers' figures and tables with our numbers beside the published ones.

``fig3``, ``fig4``, ``table1``: Liu, Kothari and Alahi, Collaborative Sampling in Generative
Adversarial Networks, AAAI 2020, on the imbalanced 8 Gaussians. Each is a call that gives what
its JSON file holds, and a page and a picture of that.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from pathlib import Path

from experiments.agreement import agreement_page, agreement_picture, agreement_result
from experiments.budget import SEEDS as BUDGET_SEEDS
from experiments.budget import budget_page, budget_picture, budget_result
from experiments.common import write_page
from experiments.fig3 import SEEDS as FIG3_SEEDS
from experiments.fig3 import fig3_page, fig3_picture, fig3_result
from experiments.fig4 import ALL_STAGES, STAGES, fig4_page, fig4_picture, fig4_result
from experiments.fig4 import SEEDS as FIG4_SEEDS
from experiments.mnist import STAGES as MNIST_STAGES
from experiments.mnist import mnist_page, mnist_picture, mnist_result
from experiments.small import SEEDS as SMALL_SEEDS
from experiments.small import small_result
from experiments.small_page import small_page, small_picture
from experiments.table1 import SEEDS as TABLE1_SEEDS
from experiments.table1 import table1_result
from experiments.table1_page import table1_page, table1_picture
from experiments.wlgan import wlgan_page, wlgan_picture, wlgan_result
from gantandem.errors import ConfigError

FIGURES = ("fig3", "fig4", "table1", "agreement", "budget", "wlgan", "small", "mnist")

__all__ = [
    "FIGURES",
    "ALL_STAGES",
    "agreement_page",
    "agreement_picture",
    "agreement_result",
    "budget_page",
    "budget_picture",
    "budget_result",
    "fig3_page",
    "fig3_picture",
    "fig3_result",
    "fig4_page",
    "fig4_picture",
    "fig4_result",
    "mnist_page",
    "mnist_picture",
    "mnist_result",
    "run_figures",
    "small_page",
    "small_picture",
    "small_result",
    "table1_page",
    "table1_picture",
    "table1_result",
    "wlgan_page",
    "wlgan_picture",
    "wlgan_result",
]


def run_figures(
    names: Sequence[str],
    out: Path,
    *,
    seeds: Sequence[int] | None = None,
    paper_seeds: Sequence[int] = (),
    stages: Sequence[int] | None = None,
    n: int = 10_000,
) -> list[Path]:
    """Make figures by name (all when none or ``all`` is given); returns their pages.

    Args:
        names: Of ``fig3``, ``fig4``, ``table1``, ``agreement``, ``budget``, ``wlgan``, ``small``,
            ``mnist`` (needs MNIST), ``all``.
        out: Folder of the runs and results; finished rows found there are kept.
        seeds: None takes each figure's own: five for fig3, the first for the others.
        paper_seeds: Seeds of fig3 and fig4 to run the published methods on too.
        stages: Iterations of the generator in fig4 and mnist; None takes each one's own.
        n: Samples of each sampler.

    Raises:
        ConfigError: If a name is unknown, no seed or stage is given, or the folder holds results
            of other settings.
    """
    if seeds is not None and not seeds:
        raise ConfigError("seeds: got none; allowed are one or more, or None for the usual ones")
    if stages is not None and (not stages or min(stages) < 1):
        raise ConfigError(f"stages: got {list(stages)}; allowed are iterations of 1 or more")
    if seeds is None:
        of_fig3, of_fig4, of_table1, of_mnist = FIG3_SEEDS, FIG4_SEEDS, TABLE1_SEEDS, (0,)
        of_budget, of_small = BUDGET_SEEDS, SMALL_SEEDS
    else:
        of_fig3 = of_fig4 = of_table1 = of_mnist = of_budget = of_small = seeds

    def make_fig3() -> Path:
        result = fig3_result(out, seeds=of_fig3, n=n, paper_seeds=paper_seeds)
        alt = "Good, KL and JS of five samplers, ours beside the published values"
        return write_page(out, "fig3", result, fig3_page, fig3_picture, alt)

    def make_fig4() -> Path:
        result = fig4_result(
            out, seeds=of_fig4, stages=stages or STAGES, n=n, paper_seeds=paper_seeds
        )
        alt = "Good, KL and JS against the stage of the generator, with the published values"
        return write_page(out, "fig4", result, fig4_page, fig4_picture, alt)

    def make_table1() -> Path:
        result = table1_result(out, seeds=of_table1, n=n)
        alt = "Change of good, KL and JS by rejection against each diagnostic, one point a stage"
        return write_page(out, "table1", result, table1_page, table1_picture, alt)

    def make_agreement() -> Path:
        result = agreement_result(out, n=n)
        alt = "Good and JS of every sampler on one trained GAN; the exact ones agree"
        return write_page(out, "agreement", result, agreement_page, agreement_picture, alt)

    def make_budget() -> Path:
        result = budget_result(out, seeds=of_budget, n=n)
        alt = "JS against passes a sample with few refinement steps, every seed a dot"
        return write_page(out, "budget", result, budget_page, budget_picture, alt)

    def make_wlgan() -> Path:
        alt = "Share of every mode, and energy histograms, of MALA and WL-GAN chains"
        return write_page(out, "wlgan", wlgan_result(n=n), wlgan_page, wlgan_picture, alt)

    def make_small() -> Path:
        result = small_result(out, seeds=of_small, n=n)
        alt = "Distance to the data of every sampler at its defaults, over that of plain draws"
        return write_page(out, "small", result, small_page, small_picture, alt)

    def make_mnist() -> Path:
        result = mnist_result(out, seeds=of_mnist, stages=stages or MNIST_STAGES, n=n)
        alt = "Frechet distance against passes a sample, at one and at five epochs"
        return write_page(out, "mnist", result, mnist_page, mnist_picture, alt)

    makers: dict[str, Callable[[], Path]] = dict(
        zip(
            FIGURES,
            (
                make_fig3,
                make_fig4,
                make_table1,
                make_agreement,
                make_budget,
                make_wlgan,
                make_small,
                make_mnist,
            ),
            strict=True,
        )
    )
    wanted = list(makers) if not names or "all" in names else list(names)
    for name in wanted:
        if name not in makers:
            near = difflib.get_close_matches(name, makers, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigError(f"unknown figure {name!r}{hint} (allowed: all, {', '.join(makers)})")
    return [makers[name]() for name in wanted]
