"""What sampling returns, and its file."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gantandem.errors import DataError, need
from gantandem.files import parse_json, write_atomic
from gantandem.files.limits import read_npz

FIELDS = ("x", "z", "log_ratio", "steps", "attempts", "accepted", "ids")


@dataclass(frozen=True, repr=False)
class Samples:
    """Samples in id order with what is known of each.

    ``samples[:10]``, ``samples[samples.accepted]`` and ``samples[3]`` hold some of the samples with
    all their fields; their manifest is still that of the whole run.

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
        condition: (N, ...) the condition of each sample; None for an unconditional GAN.
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

    def __repr__(self) -> str:
        """How many of what shape, from which sampler, at what cost."""
        told, m = [f"n={len(self):,}", f"shape={tuple(self.x.shape[1:])}"], self.manifest
        if sampler := _nested(m.get("sampler")):
            told.append(f"sampler={sampler}")
        if m.get("returned") and m.get("proposals") and m.get("passes"):
            told.append(f"acceptance={m['returned'] / m['proposals']:.3g}")
            told.append(f"passes_per_sample={m['passes'] / m['returned']:.4g}")
        return f"Samples({', '.join(told)})"

    def __getitem__(self, index: Any) -> Samples:
        """Some of the samples: by a slice, a mask, places, or one place (a row of its own).

        Raises:
            IndexError: If there is no such place, or a mask has another length.
        """
        places: Any = np.arange(len(self))[_array(index)]
        places = torch.from_numpy(np.atleast_1d(places).copy()).to(self.x.device)
        return replace(self, **{name: getattr(self, name)[places] for name in self.fields})

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
            raise ValueError("there are no samples to join")
        columns = {f: torch.cat([getattr(p, f) for p in parts]) for f in parts[0].fields}
        return cls(**columns, manifest=manifest)

    def writable(self) -> Samples:
        """The same numbers in types that NumPy and files know: bfloat16 as float32."""
        columns = {f: getattr(self, f) for f in self.fields}
        half = {f: v.float() for f, v in columns.items() if v.dtype is torch.bfloat16}
        return replace(self, **half) if half else self

    def to_numpy(self) -> np.ndarray:
        """The samples as an array, (N, *x_shape); bfloat16 as float32."""
        return self.writable().x.numpy(force=True)

    def to_pandas(self) -> Any:
        """A ``DataFrame`` with a row for each sample, and ids as its index.

        Rows of numbers have a column for each, ``x0``, ``x1``, ...; samples of other shapes have
        none. Beside them stand ``log_ratio``, ``steps``, ``attempts``, ``accepted`` and the
        condition, where it is a label.

        Raises:
            MissingExtraError: If pandas is not installed.
        """
        pandas, own = need("pandas", "tables"), self.writable()
        columns = {f: getattr(own, f).numpy(force=True) for f in self.fields if f not in "xz"}
        ids = columns.pop("ids")
        if own.x.dim() == 2:
            columns = {f"x{i}": x for i, x in enumerate(own.x.T.numpy(force=True))} | columns
        columns = {name: values for name, values in columns.items() if values.ndim == 1}
        return pandas.DataFrame(columns, index=pandas.Index(ids, name="id"))

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
        again = "make it again with Samples.save"
        try:
            found = read_npz(path, (*FIELDS, "manifest"), ("condition",))
            manifest = parse_json(str(found.pop("manifest")))
            values = {name: torch.from_numpy(array) for name, array in found.items()}
        except FileNotFoundError:
            raise DataError(f"{path}: no such file; write one with Samples.save") from None
        except DataError as error:
            raise DataError(f"{error}; {again}") from None
        except (TypeError, ValueError) as error:
            raise DataError(f"{path}: not a samples file, or damaged ({error}); {again}") from None
        lengths = {f: len(value) if value.dim() else None for f, value in values.items()}
        if len(set(lengths.values())) != 1 or None in lengths.values():
            raise DataError(f"{path}: its arrays have different lengths ({lengths}); {again}")
        if not isinstance(manifest, dict):
            raise DataError(f"{path}: its manifest is a {type(manifest).__name__}; {again}")
        return cls(**values, manifest=manifest)


def _array(index: Any) -> Any:
    """Tensors and lists as arrays, which know masks and places."""
    if isinstance(index, Tensor):
        index = index.numpy(force=True)
    return (
        np.asarray(index, dtype=None if len(index) else int) if isinstance(index, list) else index
    )


def _nested(config: Any) -> str:
    """The names of a sampler and of its proposals."""
    if not isinstance(config, dict) or "name" not in config:
        return ""
    inner = _nested(config.get("proposal"))
    return f"{config['name']}({inner})" if inner else str(config["name"])
