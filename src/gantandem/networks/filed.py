"""What a GAN does with files: save, load, and make one of what others left."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from gantandem.networks.value import Value

if TYPE_CHECKING:
    from pathlib import Path

    from gantandem.gan import GAN

FILES, IMPORT = "gantandem.runs.folder", "gantandem.runs.weights"
HUB = "gantandem.runs.hub"
"""What reads and writes GANs, and so knows more than a GAN may."""


class Filed(Value):
    """The methods of a GAN that read and write files."""

    def save(self, path: str | Path, *, specs: dict[str, dict[str, Any]] | None = None) -> Path:
        """Write this GAN to a folder, with its ratios and all else that is known of it.

        Args:
            path: The folder; weights are safetensors, ``run.yaml`` tells the rest.
            specs: As for :func:`gantandem.save_run`: asked for where a network does not tell how
                to rebuild it.

        Raises:
            InputError, OutputError: As :func:`gantandem.save_run`.
        """
        return importlib.import_module(FILES).save_run(self, path, specs=specs)

    @staticmethod
    def load(path: str | Path, *, trust: bool = False, **given: Any) -> GAN:
        """Read what :meth:`save` wrote.

        Args:
            path: The folder.
            trust: Import classes that are not built in by the names in the files, which runs code.
            given: ``device``, ``generator``, ``discriminator`` and ``latent``, as for
                :func:`gantandem.load_run`.

        Raises:
            ConfigError, WeightsError, InputError: As :func:`gantandem.load_run`.
        """
        return importlib.import_module(FILES).load_run(path, trust=trust, **given).gan

    @staticmethod
    def from_files(generator: Any = None, weights_g: str | Path | None = None, **given: Any) -> GAN:
        """Make a GAN of weight files: see :func:`gantandem.runs.weights.from_files`.

        Args:
            generator: A built-in architecture's name, ``"module:Class"``, or a module; None takes
                the built-in one that the file fits.
            weights_g: ``.safetensors``, or a state dict in ``.pt`` or ``.pth``.
            given: ``discriminator``, ``weights_d``, ``latent``, ``output``, ``condition``,
                ``key``, ``strip_prefix``, ``adapt_g``, ``adapt_d`` and ``real``.

        Raises:
            ConfigError, WeightsError, InputError: As there.
        """
        return importlib.import_module(IMPORT).from_files(generator, weights_g, **given)

    @staticmethod
    def from_pretrained(name: str | Path, *, trust: bool = False, **given: Any) -> GAN:
        """Read a GAN from a folder or the hub: see :func:`gantandem.runs.hub.from_pretrained`.

        Args:
            name: A folder, or ``OWNER/NAME``.
            trust: Import classes that are not built in by the names in the files, which runs code.
            given: ``revision``, ``token``, ``cache_dir``, ``force_download``,
                ``local_files_only``, and what :meth:`load` takes.

        Raises:
            InputError, ConfigError, WeightsError: As there.
        """
        return importlib.import_module(HUB).from_pretrained(name, trust=trust, **given)

    def save_pretrained(self, path: str | Path, **given: Any) -> str | None:
        """Write this GAN to a folder, with a card: see ``gantandem.runs.hub.save_pretrained``.

        Args:
            path: The folder.
            given: ``repo_id``, ``push_to_hub``, ``specs``, and what :meth:`push_to_hub` takes.

        Raises:
            InputError, OutputError: As there.
        """
        return importlib.import_module(HUB).save_pretrained(self, path, **given)

    def push_to_hub(self, repo_id: str, **given: Any) -> str:
        """Write this GAN to the hub: see :func:`gantandem.runs.hub.push_to_hub`.

        Args:
            repo_id: ``OWNER/NAME``.
            given: ``private``, ``token``, ``commit_message``, ``branch``, ``create_pr``, ``specs``.

        Raises:
            InputError, OutputError: As there.
        """
        return importlib.import_module(HUB).push_to_hub(self, repo_id, **given)
