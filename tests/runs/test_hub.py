"""GANs on the hub, by the conventions of huggingface_hub."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import pytest
import torch

from gantandem import GAN, Key
from gantandem.errors import ConfigError, InputError, OutputError
from gantandem.testing import toy_gan
from own_gans import Discriminator, Generator, settled


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub that is a folder, and what it was asked."""
    module = pytest.importorskip("huggingface_hub")
    asked = []

    class Api:
        def __init__(self, token=None):
            asked.append(("token", token))

        def create_repo(self, repo_id, private=None, exist_ok=False):
            assert exist_ok
            full = repo_id if "/" in repo_id else f"me/{repo_id}"
            asked.append(("create", full, private))
            return SimpleNamespace(repo_id=full)

        def upload_folder(self, *, repo_id, folder_path, **options):
            asked.append(("upload", options))
            shutil.copytree(folder_path, tmp_path / "hub" / repo_id, dirs_exist_ok=True)
            return f"https://hub/{repo_id}"

    def download(repo_id, allow_patterns, **options):
        asked.append(("download", options))
        if not (tmp_path / "hub" / repo_id).is_dir():
            raise FileNotFoundError("404")
        return str(tmp_path / "hub" / repo_id)

    monkeypatch.setattr(module, "HfApi", Api)
    monkeypatch.setattr(module, "snapshot_download", download)
    return asked


def same(a: GAN, b: GAN) -> bool:
    z = a.latent.draw(Key(0), torch.arange(4))
    return torch.equal(a.decode(z), b.decode(z))


def test_there_and_back(hub, tmp_path):
    gan = toy_gan()
    assert gan.push_to_hub("toy", private=True, token="t") == "https://hub/me/toy"
    assert ("create", "me/toy", True) in hub and ("token", "t") in hub
    assert same(GAN.from_pretrained("me/toy", revision="v1"), gan)
    assert hub[-1][1]["revision"] == "v1"
    card = (tmp_path / "hub/me/toy/README.md").read_text()
    assert card.startswith("---\nlibrary_name: gantandem") and "from_pretrained" in card


def test_a_folder_needs_no_hub(tmp_path):
    gan = toy_gan()
    assert gan.save_pretrained(tmp_path / "toy") is None
    assert same(GAN.from_pretrained(tmp_path / "toy"), gan)


def test_saving_may_push_as_well(hub, tmp_path):
    pushed = toy_gan().save_pretrained(tmp_path / "toy", push_to_hub=True, repo_id="me/other")
    assert pushed == "https://hub/me/other"
    (options,) = [one[1] for one in hub if one[0] == "upload"]
    assert "generator*.safetensors" in options["delete_patterns"]  # of an earlier push
    assert "run.yaml" in options["allow_patterns"]


def test_what_is_of_a_hub_is_not_trusted(hub):
    GAN(settled(Generator()), settled(Discriminator()), (6, 1, 1)).push_to_hub("me/own")
    with pytest.raises(ConfigError, match="own_gans:Generator' is not built in"):
        GAN.from_pretrained("me/own")
    assert GAN.from_pretrained("me/own", trust=True).generator.width == 8


def test_what_is_not_there(hub, tmp_path):
    with pytest.raises(InputError, match="cannot be fetched: 404"):
        GAN.from_pretrained("me/none")
    with pytest.raises(InputError, match="neither a folder nor OWNER/NAME"):
        GAN.from_pretrained(tmp_path / "none")
    with pytest.raises(ConfigError, match="GAN.from_files"):
        GAN.from_pretrained(tmp_path)


def test_a_hub_that_refuses(hub, monkeypatch):
    import huggingface_hub

    def refuse(*_, **__):
        raise RuntimeError("403 Forbidden")

    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", refuse)
    with pytest.raises(OutputError, match="me/toy: 403 Forbidden"):
        toy_gan().push_to_hub("me/toy")
