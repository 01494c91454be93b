"""GANs on the Hugging Face hub: RUN folders, read and written by the conventions of its mixins."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from gantandem._version import __version__
from gantandem.data.images import HUB_NAME
from gantandem.errors import ConfigError, InputError, OutputError, need
from gantandem.files import write_bytes
from gantandem.gan import GAN
from gantandem.runs.folder import load_run, save_run
from gantandem.runs.recipe import RUN_FILE

ROLES = ("generator", "guide", "discriminator", "condition", "reweighting")
FILES = (RUN_FILE, *(f"{role}*.safetensors" for role in ROLES), "ratios/*")
"""What a RUN is made of; nothing else is fetched."""
CARD = "README.md"


def from_pretrained(
    name: str | Path,
    *,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
    force_download: bool = False,
    local_files_only: bool = False,
    trust: bool = False,
    **given: Any,
) -> GAN:
    """Read a GAN from a folder or from the hub; ``GAN.from_pretrained`` is this function.

    Args:
        name: A RUN folder, or ``OWNER/NAME`` on the hub.
        revision: Branch, tag or commit.
        token: Of the hub; None takes the one that is logged in.
        cache_dir: Where files of the hub are kept.
        force_download: Fetch them again.
        local_files_only: Ask for no network.
        trust: Import classes that are not built in by the names in the files, which runs code.
            Those of a hub need it as any others.
        given: ``device``, ``generator``, ``discriminator`` and ``latent``, as for
            :func:`gantandem.load_run`.

    Raises:
        InputError: If there is no such folder or repository.
        ConfigError, WeightsError: As :func:`gantandem.load_run`.
        MissingExtraError: If huggingface_hub is not installed.
    """
    folder = Path(name)
    if not folder.is_dir():
        if not HUB_NAME.fullmatch(str(name)):
            raise InputError(
                f"from_pretrained: {name} is neither a folder nor OWNER/NAME on the hub"
            )
        hub: Any = need("huggingface_hub", "images")
        asked = {"revision": revision, "token": token, "cache_dir": cache_dir}
        asked |= {"force_download": force_download, "local_files_only": local_files_only}
        try:
            found = hub.snapshot_download(str(name), allow_patterns=list(FILES), **asked)
        except Exception as error:  # the library raises many unrelated kinds
            raise InputError(f"from_pretrained: {name} cannot be fetched: {error}") from error
        folder = Path(found)
    if not (folder / RUN_FILE).is_file():
        raise ConfigError(
            f"from_pretrained: {name} holds no {RUN_FILE}, so it was not written by "
            "save_pretrained. To make a GAN from weight files, use GAN.from_files"
        )
    return load_run(folder, trust=trust, **given).gan


def save_pretrained(
    gan: GAN,
    folder: str | Path,
    *,
    repo_id: str | None = None,
    push_to_hub: bool = False,
    specs: dict[str, dict[str, Any]] | None = None,
    **options: Any,
) -> str | None:
    """Write a GAN to a folder, with a card; ``GAN.save_pretrained`` is this function.

    Args:
        gan: What is written.
        folder: Made if needed.
        repo_id: ``OWNER/NAME`` to push to; the folder's name unless given.
        push_to_hub: Push it as well.
        specs: As for :func:`gantandem.save_run`.
        options: As for :func:`push_to_hub`.

    Returns:
        Where it was pushed to, or None.

    Raises:
        InputError, OutputError: As :func:`gantandem.save_run` and :func:`push_to_hub`.
    """
    folder = save_run(gan, folder, specs=specs)
    if not (folder / CARD).exists():
        write_bytes(folder / CARD, card(gan).encode())
    return _push(folder, repo_id or folder.name, **options) if push_to_hub else None


def push_to_hub(
    gan: GAN, repo_id: str, *, specs: dict[str, dict[str, Any]] | None = None, **options: Any
) -> str:
    """Write a GAN to a repository of the hub; ``GAN.push_to_hub`` is this function.

    Args:
        gan: What is pushed.
        repo_id: ``OWNER/NAME``, or the name of one of your own.
        specs: As for :func:`gantandem.save_run`.
        options: ``private``, ``token``, ``commit_message``, ``branch`` and ``create_pr``.

    Returns:
        Where it is now.

    Raises:
        InputError: If how to rebuild a network is not known.
        OutputError: If it cannot be pushed.
        MissingExtraError: If huggingface_hub is not installed.
    """
    with tempfile.TemporaryDirectory() as place:
        save_pretrained(gan, place, specs=specs)
        return _push(Path(place), repo_id, **options)


def _push(
    folder: Path,
    repo_id: str,
    *,
    private: bool | None = None,
    token: str | bool | None = None,
    commit_message: str = "Push a GAN with GANtandem",
    branch: str | None = None,
    create_pr: bool | None = None,
) -> str:
    hub: Any = need("huggingface_hub", "images")
    older = [name for name in FILES if name != RUN_FILE]
    try:
        api = hub.HfApi(token=token)
        repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
        if branch is not None:
            api.create_branch(repo_id, branch=branch, exist_ok=True)
        return str(
            api.upload_folder(
                repo_id=repo_id,
                folder_path=folder,
                commit_message=commit_message,
                revision=branch,
                create_pr=create_pr,
                allow_patterns=[*FILES, CARD],
                delete_patterns=older,
            )
        )
    except Exception as error:  # the library raises many unrelated kinds
        raise OutputError(f"push_to_hub: {repo_id}: {error}") from error


def card(gan: GAN) -> str:
    """The page that a hub shows of a GAN."""
    return f"""---
library_name: gantandem
tags:
- gan
---

# A GAN for GANtandem

```python
import gantandem as gt

gan = gt.GAN.from_pretrained("OWNER/NAME")
out = gt.sample(gan, "direct", n=100)
```

Written by GANtandem {__version__}. What is known of it:

```
{gan}
```
"""
