"""Read tensors from a PyTorch file without PyTorch, which takes gigabytes and is not needed otherwise.

The file is in PyTorch's old format (before 1.6). It has five pickles (a magic number, a version, facts of the machine,
a dict of tensors, the keys of their storages), then each storage as a count and its numbers. The unpickler accepts four
names and refuses every other, so a file cannot run any code. If the package ever changes its format, `read_tensors`
says so, and the test of the pretrained features fails.
"""

import pickle
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

_MAGIC = 0x1950A86A20F9469CFC6C
_FLOATS, _LONGS = np.dtype("<f4"), np.dtype("<i8")


@dataclass(frozen=True)
class _Place:
    """The place of a tensor: its storage, its first number, and its shape."""

    storage: tuple[str, np.dtype]
    start: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def of(self, numbers: np.ndarray) -> np.ndarray:
        steps = [step * numbers.itemsize for step in self.strides]
        return np.lib.stride_tricks.as_strided(numbers[self.start :], self.shape, steps).copy()


class _Unpickler(pickle.Unpickler):
    """Pickles with the four names that a state dict of floats and counters needs."""

    def find_class(self, module: str, name: str) -> Any:
        allowed_classes = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): lambda storage, start, shape, strides, *_: _Place(
                storage, start, shape, strides
            ),
            ("torch", "FloatStorage"): _FLOATS,
            ("torch", "LongStorage"): _LONGS,
        }
        if (module, name) not in allowed_classes:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return allowed_classes[module, name]

    def persistent_load(self, key_parts: tuple) -> tuple[str, np.dtype]:
        _, kind, key, *_ = key_parts
        return key, kind


def read_tensors(path: str | Path) -> dict[str, np.ndarray]:
    """Read every tensor of a state dict that `torch.save` wrote in its old format.

    Args:
        path: the file.

    Returns:
        Name to array, float32 or int64.

    Raises:
        ValueError: if the file has another format.
    """
    path = Path(path)
    with path.open("rb") as file:
        try:
            if _Unpickler(file).load() != _MAGIC:
                raise pickle.UnpicklingError("it begins otherwise")
            _Unpickler(file).load()  # version
            _Unpickler(file).load()  # byte order and widths of the machine
            places: dict[str, _Place] = _Unpickler(file).load()
            kinds = dict(place.storage for place in places.values())
            storages = {key: _storage(file, kinds[key]) for key in _Unpickler(file).load()}
        except (pickle.UnpicklingError, EOFError, KeyError, ValueError) as problem:
            raise ValueError(f"{path.name} is not a weights file of PyTorch's old form: {problem}.") from problem
    return {name: place.of(storages[place.storage[0]]) for name, place in places.items()}


def _storage(file: BinaryIO, kind: np.dtype) -> np.ndarray:
    count = int.from_bytes(file.read(8), "little")
    return np.frombuffer(file.read(count * kind.itemsize), kind)
