"""The papers' figures with our numbers beside the published ones.

``fig3``: Liu et al., AAAI 2020, Figure 3, on the imbalanced 8 Gaussians, generator stopped at 1k
iterations.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from pathlib import Path

from gantandem.errors import ConfigError
from gantandem.reproduce.common import write_page
from gantandem.reproduce.fig3 import _median, fig3, fig3_page, fig3_picture

__all__ = ["_median", "fig3", "fig3_page", "fig3_picture", "run_figures"]


def run_figures(
    names: Sequence[str], out: Path, *, seeds: Sequence[int], paper_seeds: Sequence[int], n: int
) -> list[Path]:
    """Make figures by name (all when none or ``all`` is given); returns their pages.

    Raises:
        ConfigError: If a name is unknown.
    """

    def make_fig3() -> Path:
        result = fig3(out, seeds=seeds, paper_seeds=paper_seeds, n=n)
        alt = "Ours beside the published values"
        return write_page(out, "fig3", result, fig3_page, fig3_picture, alt)

    makers: dict[str, Callable[[], Path]] = {"fig3": make_fig3}
    wanted = list(makers) if not names or "all" in names else list(names)
    for name in wanted:
        if name not in makers:
            near = difflib.get_close_matches(name, makers, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigError(f"unknown figure {name!r}{hint} (allowed: all, {', '.join(makers)})")
    return [makers[name]() for name in wanted]
