"""The container of models and checkpoints: a text and named arrays in a file, with a checksum.

Owns the bytes, and their limits. The layout is that of safetensors [1]_, so that its readers find
the arrays: the length of the header in eight bytes, the header in JSON, the arrays one after
another. Nothing is compressed, imported or executed. Does not know the meaning of text and arrays.
The library safetensors is not used: it has no checksum, orders the metadata at random, so that the
checksum has no fixed place, and sets no limit to what a header may cost.

References
----------
.. [1] Hugging Face, "Safetensors: Format", https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from sk_mtl._quoting import quote

__all__ = ["ARCHIVE_VERSION", "check_start", "pack", "read_json", "unpack"]

ARCHIVE_VERSION = 1

_MAX_HEADER_BYTES = 32 * 2**20
# An empty list takes three bytes in a file, and about a hundred in memory while it is read.
_MAX_VALUES = 2**21
_MAX_ARRAYS = 2**16
_MAX_DIMENSIONS = 32
_MAX_DEPTH = 64

_DTYPES = {
    "BOOL": np.dtype("?"),
    "U8": np.dtype("u1"),
    "I8": np.dtype("i1"),
    "U16": np.dtype("<u2"),
    "I16": np.dtype("<i2"),
    "F16": np.dtype("<f2"),
    "U32": np.dtype("<u4"),
    "I32": np.dtype("<i4"),
    "F32": np.dtype("<f4"),
    "U64": np.dtype("<u8"),
    "I64": np.dtype("<i8"),
    "F64": np.dtype("<f8"),
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}

# The header begins with these bytes. The checksum has a fixed place, so that it can be compared
# before anything else is read.
_MAGIC = b'{"__metadata__":{"format":"sk_mtl","version":"'
_VERSION = re.compile(re.escape(_MAGIC) + rb'([0-9]{1,9})"')
_START = re.compile(re.escape(_MAGIC) + rb'1","sha256":"([0-9a-f]{64})",')
_NO_DIGEST = b"0" * 64


def pack(text: str, arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return the content of a file, the same for the same text and arrays."""
    if len(arrays) > _MAX_ARRAYS:
        raise ValueError(
            f"The file would hold {len(arrays)} arrays; the limit is {_MAX_ARRAYS}. Pickle the "
            "model."
        )
    entries: dict[str, Any] = {}
    end = 0
    for name, array in arrays.items():
        start, end = end, end + array.nbytes
        entries[name] = {
            "dtype": _NAMES[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [start, end],
        }
    metadata = {
        "format": "sk_mtl",
        "version": str(ARCHIVE_VERSION),
        "sha256": _NO_DIGEST.decode(),
        "text": text,
    }
    header = json.dumps({"__metadata__": metadata, **entries}, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    if len(header) > _MAX_HEADER_BYTES:
        raise ValueError(
            f"The file takes {len(header)} bytes without its arrays; these must not take more than "
            f"{_MAX_HEADER_BYTES}. Pickle the model."
        )
    parts = [len(header).to_bytes(8, "little"), header]
    parts += [np.ascontiguousarray(array).tobytes() for array in arrays.values()]
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    parts[1] = header.replace(_NO_DIGEST, digest.hexdigest().encode(), 1)
    return b"".join(parts)


def unpack(content: bytes) -> tuple[str, dict[str, np.ndarray]]:
    """Return the text and writeable arrays of an untrusted content, or raise ValueError."""
    start = check_start(content)
    if _digest(content, *start.span(1)) != start[1].decode():
        raise ValueError(_damaged("its content does not match its checksum"))
    header_end = 8 + int.from_bytes(content[:8], "little")
    if not 8 < header_end <= min(len(content), 8 + _MAX_HEADER_BYTES):
        raise ValueError(_damaged(f"its header has an impossible length, {header_end - 8} bytes"))
    # Before JSON is read, which takes ten times as long as the checksum of the same bytes.
    if content.count(b'"data_offsets"', 8, header_end) > _MAX_ARRAYS:
        raise ValueError(_damaged(f"it holds more than {_MAX_ARRAYS} arrays"))
    header = read_json(content[8:header_end])
    metadata = header.pop("__metadata__", None) if isinstance(header, dict) else None
    if not isinstance(metadata, dict) or set(metadata) != {"format", "version", "sha256", "text"}:
        raise ValueError(_damaged("its metadata has unexpected keys"))
    if not isinstance(metadata["text"], str):
        raise ValueError(_damaged("its text is not a string"))
    return metadata["text"], _read_arrays(header, memoryview(content)[header_end:])


def check_start(content: bytes) -> re.Match[bytes]:
    """Refuse other files, and newer versions, by the first 200 bytes; match the checksum."""
    if not content.startswith(_MAGIC, 8):
        raise ValueError("This is not a file that sk_mtl has written.")
    version, start = _VERSION.match(content, 8), _START.match(content, 8)
    if version is not None and int(version[1]) > ARCHIVE_VERSION:
        raise ValueError(
            f"This file has format version {int(version[1])}; this release of sk_mtl reads "
            f"versions up to {ARCHIVE_VERSION}. Load it with the release that wrote it, or a "
            "newer one."
        )
    if start is None:
        raise ValueError(_damaged("its header has an unexpected beginning"))
    return start


def read_json(text: bytes | str) -> Any:
    """Parse untrusted JSON; refuse too many values, deep nesting, repeated keys and NaN."""
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        if text.count(",") >= _MAX_VALUES:
            raise ValueError(f"it holds more than {_MAX_VALUES} values")
        value = json.loads(
            text,
            object_pairs_hook=_distinct,
            parse_constant=_refuse_number,
            parse_float=_finite,
        )
        _check_depth(value, _MAX_DEPTH)
    except (ValueError, RecursionError) as error:
        raise ValueError(_damaged(f"its header is not JSON ({str(error)[:200]})")) from error
    return value


def _damaged(reason: str) -> str:
    return f"This file of sk_mtl is damaged, or was changed: {reason}."


def _digest(content: bytes, start: int, end: int) -> str:
    """Return the checksum of a content, in which the checksum itself counts as zeros."""
    whole = memoryview(content)
    digest = hashlib.sha256(whole[:start])
    digest.update(_NO_DIGEST)
    digest.update(whole[end:])
    return digest.hexdigest()


def _check_depth(value: Any, levels: int) -> None:
    """Refuse more levels of lists and objects than allowed."""
    if isinstance(value, (dict, list)):
        if levels == 0:
            raise ValueError(f"it is nested deeper than {_MAX_DEPTH} levels")
        for item in value.values() if isinstance(value, dict) else value:
            _check_depth(item, levels - 1)


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) != len(pairs):
        raise ValueError("an object repeats a key")
    return read


def _refuse_number(text: str) -> float:
    raise ValueError(f"{text} is not a number")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse_number(text)


def _read_arrays(entries: dict[str, Any], buffer: memoryview) -> dict[str, np.ndarray]:
    """Return the arrays listed in a header; they must fill the buffer, one after another."""
    if len(entries) > _MAX_ARRAYS:
        raise ValueError(_damaged(f"it holds more than {_MAX_ARRAYS} arrays"))
    arrays = {}
    end = 0
    for name, entry in entries.items():
        if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
            raise ValueError(_damaged(f"the entry of array {quote(name)} has unexpected keys"))
        dtype = _DTYPES.get(entry["dtype"]) if isinstance(entry["dtype"], str) else None
        shape, span = entry["shape"], entry["data_offsets"]
        if (
            dtype is None
            or not (_is_list_of_sizes(shape) and _is_list_of_sizes(span))
            or len(shape) > _MAX_DIMENSIONS
            # Empty rows could be more than memory holds, in a file of a few bytes.
            or (math.prod(shape) == 0 and shape[0] != 0)
            or span != [end, end + math.prod(shape) * dtype.itemsize]
            or span[1] > len(buffer)
        ):
            raise ValueError(_damaged(f"the entry of array {quote(name)} is invalid"))
        start, end = span
        array = np.frombuffer(buffer[start:end], dtype).reshape(shape)
        if dtype.kind == "b" and (array.view(np.uint8) > 1).any():
            raise ValueError(_damaged(f"array {quote(name)} holds invalid booleans"))
        arrays[name] = array.astype(dtype.newbyteorder("="))
    if end != len(buffer):
        raise ValueError(_damaged(f"it has {len(buffer) - end} bytes too many"))
    return arrays


def _is_list_of_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(n) is int and 0 <= n < 2**62 for n in value)
