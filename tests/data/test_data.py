"""Loading images from Parquet and folders, splitting real data, and what is said when it fails."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
import torch
from torch import Tensor

from gantandem.data.images import load_images, load_real, load_split, locate, to_range
from gantandem.data.mixtures import draw_real, imbalanced_8
from gantandem.errors import DataError
from local_data import mnist_folder

datasets = pytest.importorskip("datasets")
Image = pytest.importorskip("PIL.Image")


@pytest.fixture(autouse=True)
def own_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep decoded images and the datasets library's tables out of the user's folders."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "tables")
    monkeypatch.delenv("GANTANDEM_DATA", raising=False)


def pictures(n: int, channels: int = 1, seed: int = 0) -> Tensor:
    noise = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, channels, 6, 5), generator=noise, dtype=torch.uint8)


def png(pixels: Tensor) -> bytes:
    array = pixels.permute(1, 2, 0).numpy()
    buffer = io.BytesIO()
    Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array).save(buffer, "PNG")
    return buffer.getvalue()


def write_tables(folder: Path, train: list[bytes], test: list[bytes]) -> Path:
    folder.mkdir(parents=True)
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(num_classes=10)}
    )
    for split, rows in (("train", train), ("test", test)):
        columns = {
            "image": [{"bytes": row, "path": f"{i}.png"} for i, row in enumerate(rows)],
            "label": [i % 10 for i in range(len(rows))],
        }
        table = datasets.Dataset.from_dict(columns, features=features)
        table.to_parquet(str(folder / f"{split}.parquet"))
    return folder


def test_parquet_tables_are_read_by_split_pixel_for_pixel(tmp_path: Path) -> None:
    train, test = pictures(12), pictures(4, seed=1)
    folder = write_tables(tmp_path / "set", [png(p) for p in train], [png(p) for p in test])
    loaded = load_images(folder, "train")
    assert torch.equal(loaded.pixels, train)
    assert loaded.labels.tolist() == [i % 10 for i in range(12)]
    assert torch.equal(load_images(str(folder), "test").pixels, test)


def test_decoded_images_are_cached_until_a_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    first, second = pictures(2)
    (folder / "a.png").write_bytes(png(first))
    load_images(folder)
    with monkeypatch.context() as patched:
        patched.setattr("gantandem.data.images._decode", lambda *_: pytest.fail("decoded again"))
        assert torch.equal(load_images(folder).pixels[0], first)
    (folder / "a.png").write_bytes(png(second))
    os.utime(folder / "a.png", (1, 1))
    assert torch.equal(load_images(folder).pixels[0], second)


def test_a_damaged_cache_is_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "a.png").write_bytes(png(pictures(1)[0]))
    load_images(folder)
    (cache,) = (tmp_path / "cache" / "gantandem").glob("*.safetensors")
    cache.write_bytes(cache.read_bytes()[:20])
    assert torch.equal(load_images(folder).pixels, pictures(1))


def test_image_folders_take_labels_from_their_subfolders(tmp_path: Path) -> None:
    images = pictures(4, channels=3)
    for index, image in enumerate(images):
        place = tmp_path / "set" / "train" / ("cat" if index < 3 else "dog")
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{index}.png").write_bytes(png(image))
    (tmp_path / "set" / "test").mkdir()
    (tmp_path / "set" / "test" / "only.png").write_bytes(png(images[1]))
    loaded = load_images(tmp_path / "set", "train")
    assert torch.equal(loaded.pixels, images)
    assert loaded.labels.tolist() == [0, 0, 0, 1]
    assert load_images(tmp_path / "set", "test").labels.tolist() == [-1]


def test_labels_of_the_test_set_are_those_of_the_training_set(tmp_path: Path) -> None:
    whole = png(pictures(1)[0])
    for name in ("train/cat/a.png", "train/dog/b.png", "test/dog/c.png", "test/emu/d.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(whole)
    assert load_images(tmp_path, "train").labels.tolist() == [0, 1]
    assert load_images(tmp_path, "test").labels.tolist() == [1, 2]


def test_a_corrupt_image_is_named(tmp_path: Path) -> None:
    whole = png(pictures(1)[0])
    (tmp_path / "good.png").write_bytes(whole)
    (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"half\.png cannot be read as an image.*repair or remove"):
        load_images(tmp_path)
    folder = write_tables(tmp_path / "set", [whole, b"not an image"], [whole])
    with pytest.raises(DataError, match="row 1"):
        load_images(folder, "train")


def test_images_of_different_size_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(pictures(1)[0]))
    (tmp_path / "b.png").write_bytes(png(pictures(1)[0][:, :4]))
    with pytest.raises(
        DataError, match=r"b\.png is \(4, 5, 1\) but the first image is \(6, 5, 1\)"
    ):
        load_images(tmp_path)


def test_a_folder_without_images_and_a_missing_folder_are_errors(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing to see")
    with pytest.raises(DataError, match="holds no images"):
        load_images(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        load_images(tmp_path / "missing")


def test_a_hub_name_that_cannot_be_loaded_says_how_to_mend_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(source: str, split: str) -> None:
        raise ConnectionError(f"no network for {source} {split}")

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with pytest.raises(DataError, match=r"someone/something.*no network.*GANTANDEM_DATA"):
        load_images("someone/something")


def test_data_are_looked_for_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beside = tmp_path / "shared" / "data" / "toy"
    here = tmp_path / "checkout"
    given = tmp_path / "given" / "toy"
    for folder in (beside, here, given):
        folder.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert locate("toy", "hub/toy") == "hub/toy"
    monkeypatch.chdir(here)
    assert locate("toy", "hub/toy") == str(beside)
    monkeypatch.setenv("GANTANDEM_DATA", str(given.parent))
    assert locate("toy", "hub/toy") == str(given)
    assert locate("toy", "hub/toy", given) == str(given)
    assert locate("toy", "hub/toy", "other/toy") == "other/toy"
    monkeypatch.setenv("GANTANDEM_DATA", str(here))
    with pytest.raises(DataError, match="GANTANDEM_DATA"):
        locate("toy", "hub/toy")


def test_the_training_set_is_split_once_without_overlap(tmp_path: Path) -> None:
    train, test = pictures(20), pictures(3, seed=1)
    folder = write_tables(tmp_path / "set", [png(p) for p in train], [png(p) for p in test])
    parts = load_split(folder, (10, 6, 4))
    together = torch.cat([parts.fit.pixels, parts.select.pixels, parts.calibrate.pixels])
    assert [len(p.pixels) for p in (parts.fit, parts.select, parts.calibrate)] == [10, 6, 4]
    assert sorted(map(bytes, together.flatten(1).numpy())) == sorted(
        map(bytes, train.flatten(1).numpy())
    )
    real = load_real(folder, (10, 6, 4))
    assert torch.equal(real.fit, to_range(parts.fit.pixels))
    assert torch.equal(real.test, to_range(test))
    with pytest.raises(DataError, match="20 training images, but needs at least 21"):
        load_split(folder, (10, 6, 5))


def test_a_folder_is_never_its_own_test_set(tmp_path: Path, caplog) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    images = pictures(21)
    for i, image in enumerate(images):
        (folder / f"{i:02}.png").write_bytes(png(image))
    split = load_split(folder, (12, 3, 3))
    parts = [split.fit, split.select, split.calibrate, split.test]
    seen = torch.cat([part.pixels for part in parts])
    assert [len(part.pixels) for part in parts] == [12, 3, 3, 3]
    assert {image.numpy().tobytes() for image in seen} == {one.numpy().tobytes() for one in images}
    assert torch.equal(load_images(folder, "test").pixels, split.test.pixels)
    assert "3 of its images are held out as the test set, and 18 are left" in caplog.text
    (folder / "test").mkdir()
    (folder / "test" / "x.png").write_bytes(png(pictures(1, seed=2)[0]))
    assert len(load_images(folder, "train").pixels) == 21
    assert len(load_images(folder, "test").pixels) == 1


def test_pixels_map_to_the_range_of_tanh() -> None:
    assert to_range(torch.tensor([0, 255], dtype=torch.uint8)).tolist() == [-1, 1]
    assert to_range(torch.tensor([51], dtype=torch.uint8)).item() == pytest.approx(-0.6)


def test_mixture_draws_are_independent_between_parts_and_fixed_by_seed() -> None:
    sizes = (5000, 5000, 10, 10)
    first, again, other = (draw_real(imbalanced_8(), sizes, seed) for seed in (0, 0, 1))
    assert torch.equal(first.fit, again.fit) and torch.equal(first.test, again.test)
    assert not torch.equal(first.fit, other.fit)
    assert not torch.equal(first.fit, first.select)


def test_mixture_draws_are_independent_so_the_count_of_a_mode_varies() -> None:
    mixture, noise = imbalanced_8(), torch.Generator().manual_seed(0)
    counts = torch.tensor(
        [(mixture.draw(1000, noise) @ mixture.means[0] > 45).sum() for _ in range(200)]
    ).double()
    assert counts.mean().item() == pytest.approx(450, abs=5)
    assert counts.std().item() == pytest.approx((1000 * 0.45 * 0.55) ** 0.5, rel=0.15)


@pytest.mark.slow
def test_mnist_is_read_as_published() -> None:
    data = load_images(mnist_folder(), "test")
    assert data.pixels.shape == (10_000, 1, 28, 28)
    assert data.labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert data.labels.bincount().tolist() == [
        980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009
    ]  # fmt: skip
    assert data.pixels.double().mean().item() == pytest.approx(33.79, abs=0.01)
