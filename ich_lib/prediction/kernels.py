"""Store the kernels of an exported network in fewer bytes: as float16, or as int8 with one scale per output channel.

All computing is still in float32: ONNX Runtime restores each kernel once, when it opens the file. Normalization and
biases stay as they are, because they are small and their values matter more.
"""

from pathlib import Path

import numpy as np

# Each way to store kernels, with the largest difference that it may make to one output of one pixel, against Keras.
KERNELS = {"float32": 1e-4, "float16": 2e-2, "int8": 1e-1}
_LAST, _INT8_MAX = -1, 127
_OUTPUT_AXIS = {"Conv": 0, "ConvTranspose": 1, "MatMul": _LAST, "Gemm": _LAST}  # of the kernel


def shrink_onnx(path: Path, kernels: str) -> None:
    """Rewrite an ONNX file with its kernels stored as `kernels`, a name from KERNELS."""
    import onnx
    from onnx import helper, numpy_helper

    if kernels == "float32":
        return
    model = onnx.load(path)
    graph = model.graph
    users = {name: node for node in graph.node for name in node.input}
    for tensor in [t for t in graph.initializer if len(t.dims) > 1 and t.data_type == onnx.TensorProto.FLOAT]:
        values, stored = numpy_helper.to_array(tensor), f"{tensor.name}/{kernels}"
        if kernels == "float16":
            small = {stored: values.astype(np.float16)}
            restore = helper.make_node("Cast", [stored], [tensor.name], to=onnx.TensorProto.FLOAT)
        elif users[tensor.name].op_type in _OUTPUT_AXIS:
            axis = _OUTPUT_AXIS[users[tensor.name].op_type] % values.ndim
            quantized, scale = quantize(values, axis)
            small = {stored: quantized, f"{stored}/scale": scale}
            restore = helper.make_node("DequantizeLinear", list(small), [tensor.name], axis=axis)
        else:  # another use than as a kernel
            continue
        graph.initializer.remove(tensor)
        graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in small.items())
        graph.node.insert(0, restore)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def quantize(kernel: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """A kernel as int8, with one scale per output channel: kernel is about int8 * scale.

    Args:
        kernel: float32 of any shape.
        axis: of its output channels.

    Returns:
        int8 of the same shape, and (output channel,) float32. The error is at most half a scale.

    Example:
        >>> quantize(np.float32([[1.27, 20.0], [-0.5, 0.0]]), axis=1)[0].tolist()
        [[127, 127], [-50, 0]]
    """
    others = tuple(k for k in range(kernel.ndim) if k != axis)
    scale = np.maximum(np.abs(kernel).max(axis=others, keepdims=True), np.finfo(np.float32).tiny) / _INT8_MAX
    return np.round(kernel / scale).astype(np.int8), scale.astype(np.float32).ravel()


def shrink_weights(path: Path) -> None:
    """Rewrite a file of Keras weights with its kernels as float16; Keras reads them as float32."""
    import h5py

    with h5py.File(path) as old, h5py.File(half := path.with_suffix(".half"), "w") as new:

        def copy(name: str, item: h5py.Group | h5py.Dataset) -> None:
            if isinstance(item, h5py.Dataset):
                values = item[()]
                target = new.create_dataset(name, data=values.astype(np.float16) if np.ndim(values) > 1 else values)
            else:
                target = new.require_group(name)
            target.attrs.update(item.attrs)

        new.attrs.update(old.attrs)
        old.visititems(copy)
    half.replace(path)
