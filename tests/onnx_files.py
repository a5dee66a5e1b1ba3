"""ONNX files of small networks, written node by node."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def save(path, nodes, constants, shape, answer, kind=TensorProto.FLOAT):
    """Write a graph from "images" of a shape to `answer`, (n, K), and return the path."""
    tensors = [numpy_helper.from_array(np.asarray(v), name) for name, v in constants.items()]
    images = helper.make_tensor_value_info("images", kind, shape)
    output = helper.make_tensor_value_info(answer, kind, ["n", None])
    graph = helper.make_graph(nodes, "network", [images], [output], tensors)
    opset = [helper.make_opsetid("", 13)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


def dense(path, weights, shape):
    """A dense layer on images of a shape such as ["n", 1, 8, 8], flattened as they come."""
    nodes = [
        helper.make_node("Flatten", ["images"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
    ]
    return save(path, nodes, {"weights": np.float32(weights)}, shape, "logits")


def lenet(path, weights):
    """LeNet-5 with the weights of a Keras model's layers, [(kernel, bias), ...]; logits out."""
    nodes, constants, last = [], {}, "images"
    for i, (kernel, bias) in enumerate(weights[:2]):
        constants |= {f"kernel{i}": kernel.transpose(3, 2, 0, 1).copy(), f"bias{i}": bias}
        given, pads = [last, f"kernel{i}", f"bias{i}"], [2 - 2 * i] * 4
        last = f"pooled{i}"
        nodes += [
            helper.make_node("Conv", given, [f"conv{i}"], pads=pads),
            helper.make_node("Relu", [f"conv{i}"], [f"relu{i}"]),
            helper.make_node("MaxPool", [f"relu{i}"], [last], kernel_shape=[2, 2], strides=[2, 2]),
        ]
    nodes += [
        helper.make_node("Transpose", [last], ["ordered"], perm=[0, 2, 3, 1]),
        helper.make_node("Flatten", ["ordered"], ["flat"]),
    ]
    last = "flat"
    for i, (kernel, bias) in enumerate(weights[2:]):
        constants |= {f"weights{i}": kernel, f"shift{i}": bias}
        nodes.append(helper.make_node("Gemm", [last, f"weights{i}", f"shift{i}"], [f"dense{i}"]))
        last = f"dense{i}"
        if i < 2:
            nodes.append(helper.make_node("Tanh", [last], [f"tanh{i}"]))
            last = f"tanh{i}"
    return save(path, nodes, constants, ["n", 1, 28, 28], last)
