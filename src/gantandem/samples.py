"""What sampling returns, and its file."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gantandem.errors import DataError
from gantandem.files import write_atomic

FIELDS = ("x", "z", "log_ratio", "steps", "attempts", "accepted", "ids")


@dataclass(frozen=True)
class Samples:
    """Samples in id order with what is known of each.

    Args:
        x: (N, *x_shape) samples.
        z: (N, d) latents they started from (a chain in the latent: where it ended).
        log_ratio: (N,) float64 log p_data / p_proposal; for a mover alone the guide's logit (NaN
            where no discriminator ran).
        steps: (N,) moves behind the sample.
        attempts: (N,) proposals made for it.
        accepted: (N,) False where the budget ran out; the last proposal is then there.
        ids: (N,) ids; with the seed they name a sample.
        manifest: Seed, versions, sampler configuration, weight hashes, passes and events.
        condition: (N, ...) what each was conditioned on; None for an unconditional GAN.
    """

    x: Tensor
    z: Tensor
    log_ratio: Tensor
    steps: Tensor
    attempts: Tensor
    accepted: Tensor
    ids: Tensor
    manifest: dict[str, Any]
    condition: Tensor | None = None

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.x)

    @property
    def fields(self) -> tuple[str, ...]:
        """The columns there are."""
        return FIELDS if self.condition is None else (*FIELDS, "condition")

    @classmethod
    def join(cls, blocks: Iterable[Samples], manifest: dict[str, Any]) -> Samples:
        """Concatenate blocks.

        Raises:
            ValueError: If there are none.
        """
        parts = list(blocks)
        if not parts:
            raise ValueError("no samples to join")
        columns = {f: torch.cat([getattr(p, f) for p in parts]) for f in parts[0].fields}
        return cls(**columns, manifest=manifest)

    def writable(self) -> Samples:
        """The same numbers in types that NumPy and files know: bfloat16 as float32."""
        columns = {f: getattr(self, f) for f in self.fields}
        half = {f: v.float() for f, v in columns.items() if v.dtype is torch.bfloat16}
        return replace(self, **half) if half else self

    def save(self, path: str | Path) -> Path:
        """Write one .npz with every field and the manifest as JSON; whole or not at all.

        bfloat16, which NumPy does not know, is written as float32: the same numbers.

        Raises:
            OutputError: If it cannot be written (a full disk, say); an older file is kept.
        """
        path = Path(path)
        own = self.writable()
        arrays: dict[str, Any] = {f: getattr(own, f).cpu().numpy() for f in self.fields}
        arrays["manifest"] = np.array(json.dumps(self.manifest))
        write_atomic(path, lambda file: np.savez(file, allow_pickle=False, **arrays))
        return path

    @classmethod
    def load(cls, path: str | Path) -> Samples:
        """Read what ``save`` wrote; nothing is unpickled.

        Raises:
            DataError: If the file is missing, truncated or not such a file.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                names = [*FIELDS, *(f for f in ("condition",) if f in file)]
                values = {f: torch.from_numpy(file[f]) for f in names}
                return cls(**values, manifest=json.loads(str(file["manifest"])))
        except FileNotFoundError:
            raise DataError(f"{path}: no such file; write one with Samples.save") from None
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(
                f"{path}: not a samples file, or truncated ({error}); make it again"
            ) from None
