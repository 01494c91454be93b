"""What a comparison found: rows and samples by name, as a table, a frame and a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from gantandem._version import __version__
from gantandem.display.table import markdown_table, show, text_table
from gantandem.errors import InputError, need
from gantandem.files import write_bytes
from gantandem.gan import GAN
from gantandem.samples import Samples


class Compared(NamedTuple):
    """One sampler's row of ``metrics.json``, and its samples."""

    row: dict[str, Any]
    samples: Samples


class Comparison(dict[str, Compared]):
    """What :func:`gantandem.compare` measured, by the name of the sampler.

    ``found["obrs"].samples`` are its samples and ``found["obrs"].row`` its numbers.

    Args:
        gan: The GAN that was sampled.
        n: The number of samples of each sampler.
        seed: The seed of all samplers.

    Attributes:
        real: (M, *x_shape) held-out real samples, or None.
        floor: The metrics of other held-out real samples in place of samples; empty if there are
            none.
        failed: The reason for each sampler that is missing, by its name.
    """

    def __init__(self, gan: GAN, *, n: int, seed: int) -> None:
        super().__init__()
        self.gan, self.n, self.seed = gan, n, seed
        self.real: Tensor | None = None
        self.floor: dict[str, Any] = {}
        self.failed: dict[str, str] = {}

    @property
    def metrics(self) -> dict[str, Any]:
        """The content of ``metrics.json``, schema 1."""
        return {
            "schema": 1,
            "version": __version__,
            "seed": self.seed,
            "floor": self.floor,
            **({} if self.real is None else {"real": len(self.real)}),
            "samplers": {name: compared.row for name, compared in self.items()},
            **({"failed": self.failed} if self.failed else {}),
        }

    def __repr__(self) -> str:
        """Which samplers were compared."""
        return f"Comparison({', '.join(self)}; {self.n:,} samples each)"

    def __str__(self) -> str:
        """The table: quality and cost of each sampler."""
        seen = f"{show(self.n)} samples each, seed {self.seed}; * marks the best of a column"
        if self.real is not None and len(self.real) < self.n:
            few = show(len(self.real))
            seen += f"; held-out real samples are {few}, all there are, and few make chance"
        missing = [f"{name} failed: {why}" for name, why in self.failed.items()]
        return "\n".join([text_table(self.metrics), seen, *missing])

    def _repr_markdown_(self) -> str:
        return markdown_table(self.metrics)

    def to_pandas(self) -> Any:
        """A ``DataFrame`` with a row for each sampler: its metrics, then what it cost.

        Raises:
            MissingExtraError: If pandas is not installed.
        """
        rows = {
            name: {**row["metrics"], **{key: row[key] for key in _COSTS}}
            for name, (row, _) in self.items()
        }
        pandas = need("pandas", "tables")
        return pandas.DataFrame.from_dict(rows, orient="index").rename_axis("sampler")

    def plot(self, path: str | Path | None = None) -> Any:
        """Draw the samples of each sampler side by side, over real data if there are any.

        Args:
            path: PNG to write as well.

        Returns:
            The matplotlib figure.

        Raises:
            InputError: If the samples are neither points in a plane nor images.
            OutputError: If the picture cannot be written.
        """
        from gantandem.display.panels import panels_figure  # matplotlib is slow to import
        from gantandem.display.style import png

        if not self:
            raise InputError("plot: there are no samples to plot")
        real = None if self.real is None else self.real.float().numpy()
        panels = [] if real is None else [("real data", real, self.floor)]
        panels += [(name, out.to_numpy(), row["metrics"]) for name, (row, out) in self.items()]
        figure = panels_figure(panels, real)
        if path is not None:
            write_bytes(Path(path), png(figure, dpi=72))
        return figure


_COSTS = ("n", "passes_per_sample", "setup_passes", "seconds", "samples_per_second", "acceptance")
