"""ONNX files as exporters and other tools write them."""

import pickle

import numpy as np
import onnx
import onnx_files
import onnxruntime
import pytest
from keras import ops
from onnx import TensorProto, helper
from small_observers import STD, centred, close

from reverse_correlation import UserError, WhiteNoise, measure, observers

SHAPE = (6, 5, 3)
NOISE = WhiteNoise(shape=SHAPE)
WEIGHTS = np.random.default_rng(0).normal(size=(90, 4)).astype(np.float32) / 5
IMAGES = centred(WEIGHTS.T).reshape(4, *SHAPE) * STD**2  # of the logits
TAKEN = ["n", *SHAPE]


def show(observer, count=20_000):
    return measure(observer, NOISE, count, progress=False)


# ----------------------------------------------------------------------- weights beside the model


def with_weights_beside(folder, location="net.onnx.data", weights=WEIGHTS):
    """Write a dense network whose weights are in a second file, as PyTorch exports them."""
    folder.mkdir(exist_ok=True)
    model = onnx.load(onnx_files.dense(folder / "net.onnx", weights, TAKEN))
    onnx.save(
        model, folder / "net.onnx", save_as_external_data=True, location=location, size_threshold=0
    )
    return folder / "net.onnx"


def keeping_weights_in(path, location):
    """Write a dense network that names another file for its weights, as a crafted one might."""
    model = onnx.load(onnx_files.dense(path, WEIGHTS, TAKEN))
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=str(location))
    path.write_bytes(model.SerializeToString())
    return path


def test_weights_are_read_beside_the_model_from_any_folder(tmp_path, monkeypatch):
    path = with_weights_beside(tmp_path / "networks")
    monkeypatch.chdir(tmp_path)
    observer = observers.onnx(path)
    assert close(show(observer).classes["logit"], IMAGES)
    assert close(show(observers.onnx(path.relative_to(tmp_path))).classes["logit"], IMAGES)


def test_links_to_a_model_and_to_its_weights_in_one_folder_are_followed(tmp_path):
    path = with_weights_beside(tmp_path / "cache")
    (tmp_path / "networks").mkdir()
    for file in path.parent.iterdir():
        (tmp_path / "networks" / file.name).symlink_to(file)
    observer = observers.onnx(tmp_path / "networks/net.onnx")
    assert observer.sha256 == observers.onnx(path).sha256


def test_weights_beside_the_model_travel_with_it(tmp_path):
    path = with_weights_beside(tmp_path / "networks")
    observer = observers.onnx(path).looked(NOISE)
    images = ops.convert_to_numpy(NOISE.draw(0, 0, 5))
    expected, sent = observer.logits_of(images), pickle.dumps(observer)
    for file in path.parent.iterdir():
        file.unlink()
    assert np.array_equal(pickle.loads(sent).logits_of(images), expected)


def test_other_weights_beside_the_same_model_are_another_observer(tmp_path):
    one = with_weights_beside(tmp_path / "one")
    two = with_weights_beside(tmp_path / "two", weights=WEIGHTS + 1)
    assert one.read_bytes() == two.read_bytes()
    again = with_weights_beside(tmp_path / "again")
    assert observers.onnx(one).sha256 == observers.onnx(again).sha256
    assert observers.onnx(one).sha256 != observers.onnx(two).sha256


def test_weights_of_a_node_inside_a_branch_are_found_too(tmp_path):
    def branch(name, location):
        tensor = TensorProto(name="t", dims=[90, 4], data_type=TensorProto.FLOAT)
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)
        made = helper.make_node("Constant", [], [name], value=tensor)
        return helper.make_graph(
            [made], name, [], [helper.make_tensor_value_info(name, TensorProto.FLOAT, [90, 4])]
        )

    branches = {"then_branch": branch("a", "a.bin"), "else_branch": branch("b", "../b.bin")}
    nodes = [
        helper.make_node("If", ["yes"], ["weights"], **branches),
        helper.make_node("Flatten", ["images"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
    ]
    path = onnx_files.save(tmp_path / "net.onnx", nodes, {"yes": np.bool_(True)}, TAKEN, "logits")
    (tmp_path / "a.bin").write_bytes(WEIGHTS.tobytes())
    with pytest.raises(UserError, match="keeps weights in ../b.bin, outside its own folder"):
        observers.onnx(path)


@pytest.mark.parametrize("kind", ["above", "absolute", "link", "around"])
def test_weights_outside_the_folder_of_the_model_are_not_read(kind, tmp_path):
    folder = tmp_path / "networks"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(WEIGHTS.tobytes())
    (folder / "link").symlink_to(tmp_path / "secret")
    location = {"above": "../secret", "absolute": tmp_path / "secret", "link": "link"}
    location["around"] = "../networks/../secret"
    path = keeping_weights_in(folder / "net.onnx", location[kind])
    with pytest.raises(UserError, match="outside its own folder, which is not read: export it"):
        observers.onnx(path)


def test_missing_weights_and_damaged_ones_are_refused_in_a_sentence(tmp_path):
    path = keeping_weights_in(tmp_path / "net.onnx", "weights.bin")
    with pytest.raises(UserError, match="weights in weights.bin, which is not beside it: put both"):
        observers.onnx(path)
    (tmp_path / "weights.bin").write_bytes(WEIGHTS.tobytes()[:-4])
    with pytest.raises(UserError, match="cannot be read as an ONNX network"):
        observers.onnx(path)


# ----------------------------------------------------------------------- inputs and outputs


def written(path, nodes, outputs, constants=None, kind=TensorProto.FLOAT, taken=TAKEN):
    """Write what `nodes` make of "images" and "flat"; outputs are {name: (kind, shape)}."""
    made = [helper.make_node("Flatten", ["images"], ["flat"]), *nodes]
    constants = {"weights": WEIGHTS} if constants is None else constants
    onnx_files.save(path, made, constants, taken, "logits", kind)
    model = onnx.load(path)
    del model.graph.output[:]
    for name, (element, shape) in outputs.items():
        model.graph.output.append(helper.make_tensor_value_info(name, element, shape))
    onnx.save(model, path)
    return path


MATMUL = helper.make_node("MatMul", ["flat", "weights"], ["logits"])
ROWS = {"logits": (TensorProto.FLOAT, ["n", 4])}


def four_axes(path, sizes=(-1, 4, 1, 1)):
    nodes = [MATMUL, helper.make_node("Reshape", ["logits", "sizes"], ["rows"])]
    constants = {"weights": WEIGHTS, "sizes": np.int64(sizes)}
    return written(path, nodes, {"rows": (TensorProto.FLOAT, ["n", *sizes[1:]])}, constants)


def channels_at_the_end(path):
    return four_axes(path, (-1, 1, 1, 4))


def double(path):
    nodes = [MATMUL, helper.make_node("Cast", ["logits"], ["rows"], to=TensorProto.DOUBLE)]
    return written(path, nodes, {"rows": (TensorProto.DOUBLE, ["n", 4])})


def double_throughout(path):
    outputs = {"logits": (TensorProto.DOUBLE, ["n", 4])}
    return written(path, [MATMUL], outputs, {"weights": np.float64(WEIGHTS)}, TensorProto.DOUBLE)


def half_throughout(path):
    outputs = {"logits": (TensorProto.FLOAT16, ["n", 4])}
    return written(path, [MATMUL], outputs, {"weights": np.float16(WEIGHTS)}, TensorProto.FLOAT16)


def label_too(path):
    label = helper.make_node("ArgMax", ["logits"], ["label"], axis=1, keepdims=0)
    return written(path, [MATMUL, label], {"label": (TensorProto.INT64, ["n"]), **ROWS})


def one_at_a_time(path):
    nodes = [helper.make_node("Reshape", ["images", "sizes"], ["row"])]
    nodes.append(helper.make_node("MatMul", ["row", "weights"], ["logits"]))
    constants = {"weights": WEIGHTS, "sizes": np.int64([1, 90])}
    return written(path, nodes, {"logits": (TensorProto.FLOAT, [1, 4])}, constants)


@pytest.mark.parametrize(
    "write",
    [four_axes, channels_at_the_end, double, double_throughout, half_throughout, label_too]
    + [one_at_a_time],
)
def test_one_network_is_the_same_however_it_was_exported(write, tmp_path):
    measurement = show(observers.onnx(write(tmp_path / "net.onnx")), 6_000)
    expected = show(observers.onnx(onnx_files.dense(tmp_path / "a.onnx", WEIGHTS, TAKEN)), 6_000)
    for response, estimate in expected.classes.items():
        largest = np.abs(estimate.covariance).max()
        difference = np.abs(measurement.classes[response].covariance - estimate.covariance).max()
        assert difference < (5e-3 if write is half_throughout else 1e-4) * largest, response


def test_a_batch_of_one_is_said_once(tmp_path, capsys):
    path = one_at_a_time(tmp_path / "net.onnx")
    show(observers.onnx(path), 2_000)
    assert capsys.readouterr().out.count(f"{path} takes 1 image at a time") == 1


def test_probabilities_in_a_list_of_dictionaries_are_used(tmp_path):
    path = tmp_path / "net.onnx"
    nodes = [MATMUL, helper.make_node("Softmax", ["logits"], ["p"], axis=1)]
    labels = {"classlabels_int64s": [7, 8, 9, 10], "domain": "ai.onnx.ml"}
    model = onnx.load(
        written(path, [*nodes, helper.make_node("ZipMap", ["p"], ["z"], **labels)], ROWS)
    )
    table = helper.make_map_type_proto(
        TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, [])
    )
    del model.graph.output[:]
    model.graph.output.append(helper.make_value_info("z", helper.make_sequence_type_proto(table)))
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 1))
    onnx.save(model, path)
    assert close(show(observers.onnx(path)).classes["logit"], IMAGES)


def two_heads(path):
    other = helper.make_node("MatMul", ["flat", "others"], ["age"])
    outputs = {"age": (TensorProto.FLOAT, ["n", 2]), **ROWS}
    constants = {"weights": WEIGHTS, "others": WEIGHTS[:, :2].copy()}
    return written(path, [other, MATMUL], outputs, constants)


def test_of_several_outputs_one_is_chosen_by_name(tmp_path):
    path = two_heads(tmp_path / "net.onnx")
    with pytest.raises(UserError, match=r"age \['n', 2\].*logits \['n', 4\].*--output NAME"):
        observers.onnx(path)
    with pytest.raises(UserError, match="has no output 'sex': it answers age"):
        observers.onnx(path, output="sex")
    chosen, other = (observers.onnx(path, output=name) for name in ("logits", "age"))
    assert close(show(chosen).classes["logit"], IMAGES) and chosen.sha256 != other.sha256
    assert other.looked(NOISE).classes == 2


def test_labels_are_measured_if_that_output_is_chosen(tmp_path):
    path = label_too(tmp_path / "net.onnx")
    labels = measure(observers.onnx(path, output="label"), NOISE, 2_000, classes=4, progress=False)
    assert set(labels.classes) == {"decision"}


def whole_numbers(path):
    cast = helper.make_node("Cast", ["flat"], ["floats"], to=TensorProto.FLOAT)
    matmul = helper.make_node("MatMul", ["floats", "weights"], ["logits"])
    return written(path, [cast, matmul], ROWS, kind=TensorProto.UINT8)


def labels_alone(path):
    label = helper.make_node("ArgMax", ["logits"], ["label"], axis=1, keepdims=0)
    return written(path, [MATMUL, label], {"label": (TensorProto.INT64, ["n"])})


def of_another_size(path):
    """It says that it takes any size, but has weights for one."""
    return written(
        path, [MATMUL], ROWS, taken=["n", "h", "w", 3], constants={"weights": WEIGHTS[1:]}
    )


@pytest.mark.parametrize(
    ("write", "sentence"),
    [
        (whole_numbers, "export it without the step that turns whole numbers into floats"),
        (labels_alone, "expected one output .n, K. of floating-point numbers"),
        (of_another_size, "cannot answer images of .6, 5, 3.: .*; is that their shape?"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_sentence(write, sentence, tmp_path):
    with pytest.raises(UserError, match=sentence):
        show(observers.onnx(write(tmp_path / "net.onnx")))


def test_an_error_of_onnx_runtime_in_the_middle_of_a_pass_is_a_sentence(tmp_path, monkeypatch):
    observer = observers.onnx(onnx_files.dense(tmp_path / "net.onnx", WEIGHTS, TAKEN)).looked(NOISE)

    def fail(*arguments):
        raise onnxruntime.capi.onnxruntime_pybind11_state.RuntimeException("out of {memory}")

    monkeypatch.setattr(onnxruntime.InferenceSession, "run", fail)
    with pytest.raises(UserError, match="cannot answer images of .*: out of {memory}; is"):
        observer.logits_of(ops.convert_to_numpy(NOISE.draw(0, 0, 3)))
