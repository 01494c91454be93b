"""A path that is not there is no reason to ask the network."""

from __future__ import annotations

import socket

import pytest

from gantandem.data import images
from gantandem.errors import DataError

PATHS = (
    "faces", "./faces", "../data/faces", "../faces", "~/faces", "/no/faces", "data/faces/", "a/b/c",
    "data\\faces", "data/faces.zip", "data/faces.PNG", ".data/faces", "data/.faces", "data//faces",
    "-data/faces", "https://hub.co/a", "", "data/",
)  # fmt: skip


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """The names that would be asked for; a socket fails the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(socket, "socket", lambda *_, **__: pytest.fail("a socket was opened"))
    names = []
    monkeypatch.setattr(images, "_table_rows", lambda name, split: names.append(name) or ())
    return names


@pytest.mark.parametrize("path", PATHS)
def test_a_path_is_no_hub_name(path, asked):
    with pytest.raises(DataError, match="OWNER/NAME|holds no images; allowed"):
        images.load_images(path)
    assert asked == []


@pytest.mark.parametrize("name", ["ylecun/mnist", "a/b.c-d_1"])
def test_owner_and_name_are_asked_for(name, asked):
    with pytest.raises(DataError, match="holds no images"):
        images.load_images(name)
    assert asked == [name]
