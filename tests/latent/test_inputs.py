"""Given rows as latents: images of a folder, rows of a tensor, items of a dataset."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

from foreign_models import Discriminator, TakesImages, seeded
from gantandem import GAN, MALA, OBRS, Direct, Key, Refine, sample
from gantandem.errors import DataError, InputError
from gantandem.latent.inputs import Inputs

ROWS = torch.randn(5, 1, 4, 4, generator=torch.Generator().manual_seed(0))
IDS = torch.arange(7)


class Dicts:
    def __len__(self):
        return 5

    def __getitem__(self, place):
        return {"image": ROWS[place], "label": place}


SOURCES = {
    "tensor": ROWS,
    "array": ROWS.numpy(),
    "list": list(ROWS),
    "pairs": TensorDataset(ROWS, torch.arange(5)),
    "dicts": Dicts(),
    "loader": torch.utils.data.DataLoader(TensorDataset(ROWS), batch_size=2),
}


@pytest.mark.parametrize("name", SOURCES)
def test_id_i_is_given_row_i(name):
    latent = Inputs(SOURCES[name])
    assert torch.equal(latent.draw(Key(0), IDS), ROWS[IDS % 5])
    assert torch.equal(latent.draw(Key(9), IDS, 3), ROWS[IDS % 5])
    assert latent.shape == (1, 4, 4) and len(latent) == 5
    assert latent.config() == Inputs(ROWS).config()


def test_at_random_every_attempt_is_given_another_row():
    latent = Inputs(ROWS, order="random")
    ids = torch.arange(5000)
    rows = latent.draw(Key(0), ids)
    counts = torch.tensor([float((rows == row).flatten(1).all(1).sum()) for row in ROWS])
    assert float((counts - 1000).abs().max()) < 150
    assert not torch.equal(latent.draw(Key(0), ids, 1), rows)
    assert torch.equal(latent.draw(Key(0), ids[70:90]), rows[70:90])


def test_a_folder_is_read_as_it_is_drawn_and_keeps_its_names(tmp_path):
    image = pytest.importorskip("PIL.Image")
    (tmp_path / "b").mkdir()
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    for name in ("b/two.png", "a.png"):
        image.fromarray(pixels).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    latent = Inputs(tmp_path)
    assert latent.names == ("a.png", "b/two.png") and latent.shape == (3, 4, 4)
    x = latent.draw(Key(0), torch.tensor([1]))
    assert torch.allclose(x[0, 2], torch.from_numpy(pixels[..., 2] / 127.5 - 1).float())
    assert Inputs(tmp_path, size=(2, 6)).shape == (3, 2, 6)
    (tmp_path / "a.png").write_bytes(b"broken")
    with pytest.raises(DataError, match=r"a.png cannot be read as an image"):
        latent.draw(Key(0), torch.tensor([0]))
    (tmp_path / "c").mkdir()
    with pytest.raises(DataError, match="holds no images"):
        Inputs(tmp_path / "c")


def test_images_that_are_not_alike_are_named(tmp_path):
    image = pytest.importorskip("PIL.Image")
    for name, shape in {"a": (4, 4, 3), "b": (4, 4, 3), "c": (4, 6, 3), "d": (4, 4)}.items():
        image.fromarray(np.zeros(shape, np.uint8)).save(tmp_path / f"{name}.png")
    latent = Inputs(tmp_path)
    latent.draw(Key(0), torch.arange(2))
    size = (
        rf"c.png is an image of shape \(3, 4, 6\), but the first .*, a.png.*images:4x4:{tmp_path}"
    )
    with pytest.raises(DataError, match=size):
        latent.draw(Key(0), torch.tensor([2]))
    with pytest.raises(DataError, match=r"d.png is an image of shape \(1, 4, 4\).*as many colours"):
        latent.draw(Key(0), torch.tensor([3]))
    assert Inputs(tmp_path, size=(4, 4)).draw(Key(0), torch.arange(3)).shape == (3, 3, 4, 4)


def test_rows_that_come_again_are_told(caplog):
    def drawn(count, order="each", start=0):
        caplog.clear()
        gan = GAN(seeded(TakesImages), None, Inputs(ROWS, order))
        sample(gan, Direct(), count, width=16, start=start)
        return caplog.text

    assert "latent: there are 5 inputs" in drawn(6) and "ids from 5 on" in drawn(1, start=5)
    assert not drawn(5) and not drawn(6, "random")


def test_a_translator_is_refined_image_by_image():
    gan = GAN(seeded(TakesImages), seeded(Discriminator), Inputs(ROWS))
    plain = sample(gan, Direct(), 5, width=16)
    assert torch.allclose(plain.x, gan.decode(ROWS), atol=1e-6)
    moved = sample(gan, Refine(layer="fc", steps=3, step_size=0.1), 5, width=16)
    assert torch.equal(moved.z, ROWS) and not torch.allclose(moved.x, plain.x)
    assert sample(gan, OBRS(expected=2, pilot=32), 5, width=16).x.shape == (5, 1, 4, 4)


def test_a_folder_is_found_again_and_rows_are_given_again(tmp_path):
    image = pytest.importorskip("PIL.Image")
    pixels = np.arange(64, dtype=np.uint8).reshape(4, 4, 4)
    (tmp_path / "horses").mkdir()
    for i in range(4):
        image.fromarray(pixels[i]).save(tmp_path / "horses" / f"{i}.png")
    d = seeded(Discriminator)
    gan = GAN(seeded(TakesImages), d, Inputs(tmp_path / "horses", size=(4, 4)))
    gan.save(tmp_path / "gan")
    again = GAN.load(tmp_path / "gan", trust=True)
    assert torch.equal(sample(again, Direct(), 4).x, sample(gan, Direct(), 4).x)
    assert again.law(Direct()) == gan.law(Direct())
    others = GAN.load(tmp_path / "gan", trust=True, latent=Inputs(ROWS))
    assert torch.equal(sample(others, Direct(), 5).z, ROWS)
    with pytest.raises(InputError, match="but the networks were saved with"):
        GAN.load(tmp_path / "gan", trust=True, latent=16)
    GAN(seeded(TakesImages), d, Inputs(ROWS)).save(tmp_path / "rows")
    with pytest.raises(InputError, match=r"latent=..."):
        GAN.load(tmp_path / "rows", trust=True)
    assert GAN.load(tmp_path / "rows", trust=True, latent=Inputs(ROWS)).latent.shape == (1, 4, 4)


def test_no_given_row_is_moved():
    gan = GAN(seeded(TakesImages), seeded(Discriminator), Inputs(ROWS))
    for mover in (MALA(steps=2, step_size=0.1), Refine(layer="latent", steps=2, step_size=0.1)):
        with pytest.raises(InputError, match=r"Inputs of 5 rows \(1, 4, 4\), is discrete"):
            sample(gan, mover, 5, width=16)


def test_the_law_is_that_of_the_rows():
    d = seeded(Discriminator)
    names = {GAN(seeded(TakesImages), d, Inputs(rows)).law(Direct()) for rows in (ROWS, ROWS + 1)}
    assert len(names) == 2


@pytest.mark.parametrize(("source", "said"), [
    ("nowhere", "is not a folder"), (torch.zeros(0, 3), "no inputs"), ([], "no"),
])  # fmt: skip
def test_what_is_no_source(source, said):
    with pytest.raises(DataError, match=said):
        Inputs(source)


def test_other_latents_are_pointed_here():
    with pytest.raises(InputError, match=r"Inputs\(...\) of images"):
        GAN(seeded(TakesImages), None, ROWS)  # pyright: ignore
    with pytest.raises(InputError, match="allowed are 'each' and 'random'"):
        Inputs(ROWS, order="any")  # pyright: ignore
