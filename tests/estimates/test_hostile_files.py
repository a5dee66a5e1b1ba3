"""Files of arrays made by hand: refused in a sentence, before anything large is allocated."""

import io
import json
import subprocess
import zipfile

import numpy as np
import pytest

from reverse_correlation import WhiteNoise, measure
from reverse_correlation.people.study import Study

# reads every file of a folder, with 500 MB more than the libraries have taken
READ_ALL = """
import resource, sys, time
from pathlib import Path
import numpy, scipy.stats, tensorflow
from reverse_correlation import Measurement, UserError, measure, WhiteNoise
from reverse_correlation.people.study import Study
from reverse_correlation.stimuli import coarse, pink, white
from reverse_correlation.stimuli.labelled_images import read_labelled_images
readers = {"measurement": Measurement.load, "study": Study.load, "images": read_labelled_images}
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + 500_000_000
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for path in sorted(Path(sys.argv[1]).glob("*.npz")):
    began = time.perf_counter()
    try:
        readers[path.name.split("-")[0]](path)
        said = "read"
    except UserError as error:
        said = "refused: " + str(error).replace("\\n", " ")
    except BaseException as error:
        said = f"{type(error).__name__}: {error}"
    print(path.stem, "slow" if time.perf_counter() - began > 5 else "quick", said, sep="\\t")
"""


class Trap:
    """Would leave a file where it is unpickled."""

    def __reduce__(self):
        return open, ("ran", "w")


def arrays_of(path):
    with np.load(path) as file:
        return dict(file)


def told(arrays, **fields):
    """Change fields of the record; None takes one away."""
    record = json.loads(str(arrays["provenance"])) | fields
    record = {name: value for name, value in record.items() if value is not None}
    return arrays | {"provenance": np.array(json.dumps(record))}


def changed(arrays, accumulator):
    """Change fields of the accumulator's description."""
    described = json.loads(str(arrays["provenance"]))["accumulators"][0]
    return told(arrays, accumulators=[described | accumulator])


def made_of(content, promised=None, method=zipfile.ZIP_STORED):
    """Return an archive of parts, {name: bytes}; `promised` are sizes that its directory claims."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, value in content.items():
            archive.writestr(name, value)
        for name, size in (promised or {}).items():
            archive.getinfo(name).file_size = size
    return stream.getvalue()


def npy(array, shape=None, descr=None):
    """Return an array as a .npy file has it, with another shape or type in its header."""
    stream = io.BytesIO()
    if shape is None and descr is None:
        np.save(stream, array, allow_pickle=True)
        return stream.getvalue()
    header = {"descr": descr or array.dtype.str, "fortran_order": False, "shape": shape or ()}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue() + array.tobytes()


def parts_of(arrays, **others):
    parts = {f"{name}.npy": npy(array) for name, array in arrays.items()}
    return parts | {f"noise:{name}.npy": content for name, content in others.items()}


def measurements(good):
    """Return what is wrong with measurements: {name: arrays or bytes}."""
    ox = good["classes:ox:0"]
    one, million = np.zeros(1), 10**6
    zeros = npy(np.zeros(2**25))  # 268 MB
    deep = "[" * 100_000
    return {
        "levels": told(good, levels=10**9),
        "levels-text": told(good, levels="x"),
        "levels-negative": told(good, levels=-1),
        "level-negative": good | {"classes:ox:-1": ox},
        "count-none": told(good, count=None),
        "count-text": told(good, count="many"),
        "count-other": told(good, count=4096),
        "count-zero": told(good, count=0),
        "count-true": told(good, count=True),
        "count-nan": told(good, count=float("nan")),
        "block-text": told(good, block_images="x"),
        "noise-none": told(good, noise=None),
        "noise-text": told(good, noise="white"),
        "noise-list": told(good, noise={"ensemble": [1]}),
        "only-text": told(good, only="ab"),
        "only-large": told(good, only=[0, 10**9]),
        "only-of-sums": changed(good, {"only": [0, 1, 2]}),
        "only-large-of-sums": changed(told(good, only=[0, 1, 9**9]), {"only": [0, 1, 9**9]}),
        "record-list": good | {"provenance": np.array("[1, 2]")},
        "record-number": good | {"provenance": np.array(3)},
        "record-deep": good | {"provenance": np.array(deep)},
        "record-deep-inside": good | {"provenance": np.array('{"levels":' + deep)},
        "record-long": good | {"provenance": np.array("[" + "[]," * 400_000 + "[]]")},
        "record-longer": good | {"provenance": np.array("[" + "[]," * 4_000_000 + "[]]")},
        "accumulators-text": told(good, accumulators="x"),
        "accumulators-number": told(good, accumulators=3),
        "accumulators-list": told(good, accumulators=[[1]]),
        "accumulator-other": told(good, accumulators=[{"kind": "os.system", "shape": [8, 8]}]),
        "accumulator-kind": changed(good, {"kind": ["ClassSums"]}),
        "accumulator-field": changed(good, {"more": 1}),
        "accumulator-classes": changed(good, {"classes": 10**9}),
        "accumulator-classes-text": changed(good, {"classes": "3"}),
        "accumulator-coordinates": changed(good, {"coordinates": [million, million, 1]}),
        "accumulator-coordinates-text": changed(good, {"coordinates": "441"}),
        "accumulator-orthogonal": changed(good, {"orthogonal": 1024}),
        "shape-huge": good | {"noise:shape": np.array([million, million, 3])},
        "shape-negative": good | {"noise:shape": np.array([-4, 4, 1])},
        "shape-other": good | {"noise:shape": np.array([2, 8, 1])},
        "shape-text": good | {"noise:shape": np.array("4x4")},
        "shape-float": good | {"noise:shape": np.array([4.0, 4.0, 1.0])},
        "contrast-text": good | {"noise:contrast": np.array("a lot")},
        "contrast-nan": good | {"noise:contrast": np.array(np.nan)},
        "contrast-many": good | {"noise:contrast": np.ones(3)},
        "base-nan": good | {"noise:base": np.full((4, 4, 1), np.nan)},
        "low-text": good | {"noise:low": np.array("black")},
        "kind-other": good | {"noise:kind": np.array("loud")},
        "kind-list": good | {"noise:kind": np.array(["gaussian", "binary"])},
        "field-other": good | {"noise:colour": np.array(3)},
        "sums-nan": good | {"classes:ox:0": np.nan * ox},
        "sums-infinite": good | {"classes:n:0": np.array([np.inf, 1])},
        "sums-whole-numbers": good | {"classes:ox:0": ox.astype(np.int64)},
        "sums-one": good | {"classes:ox:0": np.zeros(2)},
        "sums-none": {name: a for name, a in good.items() if name != "classes:ox:0"},
        "sums-of-other-levels": told(good, levels=2) | {"classes:ox:1": ox},
        "sums-key": good | {"..:..:/etc/passwd": np.zeros(2)},
        "prediction-none": told(good, prediction=None),
        "prediction-text": told(good, prediction="all"),
        "prediction-seed": told(good, prediction={"stimuli": 100, "seed": "x"}),
        "prediction-stimuli": told(good, prediction={"stimuli": 10, "seed": 1}),
        "prediction-true": told(good, prediction={"stimuli": True, "seed": 1}),
        "prediction-classes": good | {"prediction:hits:0": np.zeros((2, 2, 10**6))},
        "prediction-hits": good | {"prediction:hits:0": good["prediction:pairs:0"] + 1},
        "prediction-half": good | {"prediction:hits:0": good["prediction:pairs:0"] / 3},
        "prediction-power": good | {"prediction:power:0": -good["prediction:power:0"]},
        "prediction-other": good | {"prediction:more:0": good["prediction:hits:0"]},
        "pickled-sums": made_of(parts_of(good) | {"classes:ox:0.npy": npy(np.array([Trap()]))}),
        "pickled-record": made_of({"provenance.npy": npy(np.array(Trap()))}),
        "pickled-field": made_of(parts_of(good, base=npy(np.array([Trap()])))),
        "records-of-fields": made_of(parts_of(good, base=npy(one, (1,), [("a", "<f8")]))),
        "lying-shape": made_of(parts_of(good, base=npy(one, (million, million, 5)))),
        "lying-shape-negative": made_of(parts_of(good, base=npy(one, (-1, -1)))),
        "lying-text": made_of(parts_of(good, base=npy(one, (), "<U1000000000"))),
        "lying-nothing": made_of(parts_of(good, base=npy(one, (10**15,), "<U0"))),
        "lying-directory": made_of(parts_of(good), {"provenance.npy": 10**10}),
        "nested-header": made_of(
            parts_of(good, base=b"\x93NUMPY\x01\x00\x10\x27" + b"-" * 9_999 + b"1")
        ),
        "bomb": made_of(parts_of(good, base=zeros), method=zipfile.ZIP_DEFLATED),
        "bomb-bz2": made_of(parts_of(good, base=zeros), method=zipfile.ZIP_BZIP2),
        "bomb-of-many": made_of(
            parts_of(good, **{f"b{i}": npy(np.zeros(2**22)) for i in range(4)}),
            method=zipfile.ZIP_DEFLATED,
        ),
    }


def studies(good):
    return {
        "trials": told(good, trials=10**9),
        "trials-text": told(good, trials="40"),
        "trials-negative": told(good, trials=-40),
        "seed-text": told(good, seed="zero"),
        "seed-large": told(good, seed=2**70),
        "question-list": told(good, question=["a"]),
        "question-none": told(good, question=None),
        "noise-text": told(good, noise="white"),
        "shape": good | {"noise:shape": np.array([10**5, 10**5, 1])},
    }


def labelled(good):
    return {
        "names-one": good | {"class_names": np.array("cat")} | {"x_train": np.zeros(3)},
        "nan": good | {"x_train": np.full((4, 4, 4), np.nan)},
        "pickled": made_of(parts_of(good) | {"x_train.npy": npy(np.array([Trap()]))}),
        "lying": made_of(parts_of(good) | {"x_train.npy": npy(np.zeros(1), (10**6, 10**6, 5))}),
        "bomb": made_of(
            parts_of(good) | {"x_train.npy": npy(np.zeros(2**25))}, method=zipfile.ZIP_DEFLATED
        ),
        "bomb-bz2": made_of(
            parts_of(good) | {"x_train.npy": npy(np.zeros(2**25))}, method=zipfile.ZIP_BZIP2
        ),
    }


def lookers(images):
    """An observer of three classes."""
    return images[:, :3, 0, 0] - images[:, :3, 1, 0]


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """The arrays of a good file of each kind."""
    folder = tmp_path_factory.mktemp("good")
    noise = WhiteNoise(shape=(4, 4, 1))
    measure(lookers, noise, 2048, progress=False, prediction_images=100).save(
        folder / "measurement.npz"
    )
    Study(noise, 0, 40, "Which?", "main").save(folder / "study.npz")
    x, y = np.random.default_rng(0).random((4, 4, 4)), np.array([0, 1, 2, 2])
    np.savez(folder / "images.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    return {path.stem: arrays_of(path) for path in folder.glob("*.npz")}


def test_files_made_by_hand_are_refused_in_a_sentence_at_once_and_in_little_memory(
    good, tmp_path, processes
):
    bad = {"measurement": measurements, "study": studies, "images": labelled}
    for kind, wrong in bad.items():
        for name, content in (wrong(good[kind]) | {"good": good[kind]}).items():
            path = tmp_path / f"{kind}-{name}.npz"
            if isinstance(content, bytes):
                path.write_bytes(content)
            else:
                np.savez(path, **content)
    reading = processes.python(
        READ_ALL, tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    lines = [line.split("\t") for line in reading.communicate(timeout=100)[0].splitlines()]
    assert len(lines) == len(list(tmp_path.glob("*.npz")))
    unlike = {
        name: (pace, said)
        for name, pace, said in lines
        if pace != "quick"
        or (said != "read" if name.endswith("-good") else not said.startswith("refused: "))
        or (f"{name}.npz" not in said and not name.endswith("-good"))
    }
    assert not unlike, "\n".join(map(str, unlike.items()))
    assert not (tmp_path / "ran").exists()
