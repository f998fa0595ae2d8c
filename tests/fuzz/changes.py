"""What is done to a valid file: bytes changed, a value of its JSON or metadata replaced, a tensor made another."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import torch
from hypothesis import strategies as st
from safetensors.torch import save as serialised
from torch import Tensor

VALUES = (None, True, 0, -1, 1, 2, 5, 7, 10**7, 2**63, -(2**63), 10**400, 0.5, -0.0, 1e-320, 1e308, math.nan, math.inf)
WORDS = (
    "",
    "a",
    "0",
    "-1",
    "nan",
    "inf",
    "1e999",
    "1" * 5000,
    "\0",
    "../../etc/passwd",
    "é",
    "linear",
    "t",
    "{}",
    "[]",
    "null",
)
NESTED: tuple[Any, ...] = (
    [],
    {},
    [[]],
    [None],
    {"": {}},
    [0] * 1000,
    {"infinite": "a"},
    {"shape": [1], "float64": "AA"},
)
values = st.sampled_from([*VALUES, *WORDS, *NESTED]) | st.integers() | st.floats() | st.text(max_size=20)
DTYPES = (
    *(torch.float16, torch.bfloat16, torch.float64, torch.complex64, torch.float8_e4m3fn, torch.float8_e8m0fnu),
    *(torch.int8, torch.int64, torch.bool, torch.uint16),
)


@st.composite
def changed_bytes(draw: st.DrawFn, valid: bytes) -> bytes:
    """A file with a few bytes changed near its start or anywhere, cut, doubled, or with others put in."""
    held = bytearray(valid)
    for _ in range(draw(st.integers(1, 4))):
        top = min(len(held), draw(st.sampled_from([16, 400, len(held)])))
        at = draw(st.integers(0, max(top - 1, 0)))
        match draw(st.sampled_from(["set", "put", "cut", "drop", "twice"])):
            case "set" if held:
                held[at] = draw(st.integers(0, 255))
            case "put":
                held[at:at] = draw(st.binary(max_size=8))
            case "cut":
                del held[at:]
            case "drop":
                del held[at : at + draw(st.integers(1, 8))]
            case _:
                held[at:at] = held[at : at + 40]
    return bytes(held)


@st.composite
def changed_data(draw: st.DrawFn, data: Any) -> Any:
    """JSON data with a value somewhere in it replaced, removed or put beside."""
    if isinstance(data, dict) and data and draw(st.integers(0, 9)):
        key = draw(st.sampled_from(sorted(data)))
        match draw(st.sampled_from(["in", "in", "in", "drop", "put"])):
            case "in":
                return {**data, key: draw(changed_data(data[key]))}
            case "drop":
                return {k: v for k, v in data.items() if k != key}
        return {**data, draw(st.text(max_size=8)): draw(values)}
    if isinstance(data, list) and data and draw(st.integers(0, 4)):
        k = draw(st.integers(0, len(data) - 1))
        return [*data[:k], draw(changed_data(data[k])), *data[k + 1 :]]
    return draw(values)


@st.composite
def changed_tensors(draw: st.DrawFn, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors with one removed, renamed, of another dtype or shape, or with other numbers in it."""
    held = dict(tensors)
    name = draw(st.sampled_from(sorted(held)))
    value = held[name]
    match draw(st.sampled_from(["drop", "rename", "dtype", "shape", "number", "scale"])):
        case "drop":
            del held[name]
        case "rename":
            held[draw(st.text(max_size=8))] = held.pop(name)
        case "dtype":
            real = value if value.dtype != torch.bool else value.int()
            held[name] = real.to(draw(st.sampled_from(DTYPES)))
        case "shape":
            shapes = [(), (0,), (1,), (value.numel(),), (1, *value.shape), (0, 2**40), (2, 3, 4)]
            shape = draw(st.sampled_from(shapes))
            fits = math.prod(shape) == value.numel()
            held[name] = value.reshape(shape) if fits else torch.zeros(shape, dtype=value.dtype)
        case "number" if value.numel():
            found = value.clone()
            number = draw(st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -1.0, 1e30, 1e-320]))
            found.view(-1)[draw(st.integers(0, value.numel() - 1))] = number if value.is_floating_point() else -(2**31)
            held[name] = found
        case _:
            held[name] = value * draw(st.sampled_from([0, 7, -1]))
    return {n: v.contiguous() for n, v in held.items()}


@st.composite
def changed_metadata(draw: st.DrawFn, metadata: Mapping[str, str]) -> dict[str, str]:
    """Metadata with a word replaced or removed, or with a value changed in the JSON that it is."""
    key = draw(st.sampled_from(sorted(metadata)))
    how = draw(st.sampled_from(["drop", "word", "json", "json"]))
    if how == "drop":
        return {k: v for k, v in metadata.items() if k != key}
    try:
        held = json.loads(metadata[key])
    except ValueError:
        how = "word"
    word = json.dumps(draw(changed_data(held))) if how == "json" else str(draw(values))
    return {**metadata, key: word.encode("utf-8", "replace").decode()}


def packed(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """A safetensors file."""
    return bytes(serialised(dict(tensors), dict(metadata)))
