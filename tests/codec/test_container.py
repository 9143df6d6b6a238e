"""Tests of sk_mtl._codec.container: the bytes of a saved model, whole, damaged and forged.

A damaged file has the checksum of what it was; a forged one has the right checksum.
"""

import hashlib
import json
import tracemalloc

import numpy as np
import pytest

from sk_mtl._codec.container import pack, read_json, unpack

ARRAYS = {
    "weights": np.arange(6, dtype=np.float32).reshape(2, 3),
    "step": np.array(7),
    "mask": np.array([True, False]),
    "nothing": np.zeros((0, 4)),
}
CONTENT = pack('{"a": 1}', ARRAYS)
HEADER_END = 8 + int.from_bytes(CONTENT[:8], "little")
HEADER = json.loads(CONTENT[8:HEADER_END])


def forge(header, buffer=CONTENT[HEADER_END:], n_header=None):
    """Return a content with any header and buffer, under the right checksum."""
    text = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":"))
    text = text if isinstance(text, bytes) else text.encode()
    length = (len(text) if n_header is None else n_header).to_bytes(8, "little")
    at = text.index(b'"sha256":"') + len(b'"sha256":"')
    blank = text[:at] + b"0" * 64 + text[at + 64 :]
    digest = hashlib.sha256(length + blank + buffer).hexdigest().encode()
    return length + text[:at] + digest + text[at + 64 :] + buffer


def with_entry(name, **changes):
    """Return the header with an array described in another way."""
    return {**HEADER, name: {**HEADER[name], **changes}}


def assert_same(arrays, others):
    assert list(arrays) == list(others)
    for name, array in arrays.items():
        assert array.dtype == others[name].dtype
        assert array.shape == others[name].shape
        np.testing.assert_array_equal(array, others[name])


# -- Whole ---------------------------------------------------------------------------------------


def test_unpack_gives_back_what_was_packed():
    text, arrays = unpack(CONTENT)
    assert text == '{"a": 1}'
    assert_same(arrays, ARRAYS)
    assert all(array.flags.writeable and array.flags.owndata for array in arrays.values())


@pytest.mark.parametrize("dtype", ["?", *"bhilBHIL", "e", "f", "d"])
def test_every_plain_dtype_comes_back(dtype):
    array = np.array([[0, 1], [1, 0]], dtype=dtype)
    assert_same(unpack(pack("", {"a": array}))[1], {"a": array})


@pytest.mark.parametrize("text", ["", 'quotes " and \\', "Ünïcödé 𝄞", "\0\n", "\ud800", "0" * 64])
def test_any_text_comes_back(text):
    assert unpack(pack(text, {}))[0] == text


@pytest.mark.parametrize(
    "view", [lambda a: a.T, lambda a: a[:, ::2], np.asfortranarray], ids=["T", "strided", "F"]
)
def test_layout_in_memory_does_not_matter(view):
    array = view(ARRAYS["weights"])
    assert_same(unpack(pack("", {"a": array}))[1], {"a": array})


def test_content_depends_on_text_and_arrays_only():
    assert pack('{"a": 1}', dict(ARRAYS)) == CONTENT


def test_safetensors_reads_the_arrays():
    safetensors = pytest.importorskip("safetensors.numpy")
    found = safetensors.load(CONTENT)
    assert_same({name: found[name] for name in ARRAYS}, ARRAYS)


def test_too_much_text_is_refused_when_it_is_written(monkeypatch):
    monkeypatch.setattr("sk_mtl._codec.container._MAX_HEADER_BYTES", 1000)
    with pytest.raises(ValueError, match="must not take more than 1000"):
        pack("x" * 1000, {})


# -- Damaged -------------------------------------------------------------------------------------


def test_every_flipped_bit_is_refused():
    for position in range(8 * len(CONTENT)):
        damaged = bytearray(CONTENT)
        damaged[position // 8] ^= 1 << position % 8
        with pytest.raises(ValueError, match=r"damaged|not a file|newer"):
            unpack(bytes(damaged))


def test_every_truncation_is_refused():
    for length in range(len(CONTENT)):
        with pytest.raises(ValueError, match=r"damaged|not a file"):
            unpack(CONTENT[:length])


@pytest.mark.parametrize("more", [b"\0", b" ", b"\n", CONTENT])
def test_bytes_at_the_end_are_refused(more):
    with pytest.raises(ValueError, match="does not match its checksum"):
        unpack(CONTENT + more)


def test_digest_in_capitals_is_refused():
    start = CONTENT.index(b'"sha256":"') + 10
    damaged = CONTENT[:start] + CONTENT[start : start + 64].upper() + CONTENT[start + 64 :]
    with pytest.raises(ValueError, match="has an unexpected beginning"):
        unpack(damaged)


# -- Forged --------------------------------------------------------------------------------------


def test_forging_nothing_gives_the_content():
    assert forge(HEADER) == forge(CONTENT[8:HEADER_END].rstrip())
    assert_same(unpack(forge(HEADER))[1], ARRAYS)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("weights", {"shape": [3, 3]}),
        ("weights", {"shape": [6, -1]}),
        ("weights", {"shape": [2, 3.0]}),
        ("weights", {"shape": [True, 6]}),
        ("weights", {"shape": "23"}),
        ("weights", {"shape": [2**61, 2**61]}),
        ("weights", {"shape": [10**400]}),
        ("weights", {"shape": [1] * 40 + [6]}),
        ("weights", {"dtype": "F64"}),
        ("weights", {"dtype": "BF16"}),
        ("weights", {"dtype": "O"}),
        ("weights", {"dtype": ["F32"]}),
        ("weights", {"data_offsets": [0, 25]}),
        ("weights", {"data_offsets": [8, 32]}),
        ("weights", {"data_offsets": [0]}),
        ("weights", {"data_offsets": [0, 24, 24]}),
        ("weights", {"data_offsets": [24, 0]}),
        ("weights", {"data_offsets": None}),
        ("weights", {"more": 1}),
        ("mask", {"dtype": "U8", "shape": [1]}),
        ("nothing", {"shape": [2**40, 0]}),
        ("nothing", {"shape": [0, 2**62]}),
    ],
)
def test_array_that_cannot_be_is_refused(name, changes):
    with pytest.raises(ValueError, match=f"array '{name}'"):
        unpack(forge(with_entry(name, **changes)))


@pytest.mark.parametrize("entry", [None, [], 1, "F32", {}])
def test_entry_that_is_none_is_refused(entry):
    with pytest.raises(ValueError, match="entry of array 'weights' has unexpected keys"):
        unpack(forge({**HEADER, "weights": entry}))


def test_boolean_that_is_none_is_refused():
    start = HEADER["mask"]["data_offsets"][0]
    buffer = bytearray(CONTENT[HEADER_END:])
    buffer[start] = 2
    with pytest.raises(ValueError, match="holds invalid booleans"):
        unpack(forge(HEADER, bytes(buffer)))


def test_arrays_must_fill_the_file():
    with pytest.raises(ValueError, match="3 bytes too many"):
        unpack(forge(HEADER, CONTENT[HEADER_END:] + b"abc"))


def test_array_larger_than_the_file_is_refused_before_it_is_made():
    header = with_entry("weights", shape=[2**40], data_offsets=[0, 2**42])
    tracemalloc.start()
    with pytest.raises(ValueError, match="array 'weights'"):
        unpack(forge(header))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


@pytest.mark.parametrize("n_header", [0, 100, len(CONTENT), 2**40, 2**63])
def test_length_of_the_header_must_fit(n_header):
    with pytest.raises(ValueError, match="damaged"):
        unpack(forge(HEADER, n_header=n_header))


@pytest.mark.parametrize("version", ["0", "00", "01", "-1", "", "1.0", "x"])
def test_version_that_is_none_is_refused(version):
    with pytest.raises(ValueError, match="damaged"):
        unpack(CONTENT.replace(b'"version":"1"', b'"version":"' + version.encode() + b'"', 1))


@pytest.mark.parametrize("version", ["2", "10", "999999999"])
def test_newer_version_is_refused_by_its_name(version):
    content = CONTENT.replace(b'"version":"1"', b'"version":"' + version.encode() + b'"', 1)
    with pytest.raises(ValueError, match=f"has format version {version};.*or a newer one"):
        unpack(content)


@pytest.mark.parametrize("metadata", [{"text": None, "more": ""}, {"more": ""}])
def test_header_must_say_what_it_says_and_no_more(metadata):
    metadata = {**HEADER["__metadata__"], **metadata}
    metadata = {key: value for key, value in metadata.items() if value is not None}
    with pytest.raises(ValueError, match="metadata has unexpected keys"):
        unpack(forge({**HEADER, "__metadata__": metadata}))


@pytest.mark.parametrize("text", [None, 1, {}, ["x"]])
def test_text_must_be_text(text):
    header = {**HEADER, "__metadata__": {**HEADER["__metadata__"], "text": text}}
    with pytest.raises(ValueError, match="its text is not a string"):
        unpack(forge(header))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b'{"a": 1, "a": 2}',
        b'{"a": {"b": 1, "b": 1}}',
        b"NaN",
        b"[1e999]",
        b"-Infinity",
        b"1" * 5000,
        b"\xff\xfe",
        b"[" * 65 + b"]" * 65,
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"1 2",
    ],
    ids=lambda text: text[:12].decode(errors="replace"),
)
def test_what_is_not_json_is_refused(text):
    with pytest.raises(ValueError, match="is not JSON"):
        read_json(text)


def test_more_values_than_any_model_has_are_refused_before_they_are_read(monkeypatch):
    monkeypatch.setattr("sk_mtl._codec.container._MAX_VALUES", 100)
    assert len(read_json("[" + "0," * 99 + "0]")) == 100
    with pytest.raises(ValueError, match="more than 100 values"):
        read_json("[" + "0," * 100 + "0]")


def test_more_arrays_than_any_model_has_are_refused_before_they_are_read(monkeypatch):
    arrays = {str(number): np.zeros(0, np.float32) for number in range(8)}
    content = pack("{}", arrays)
    monkeypatch.setattr("sk_mtl._codec.container._MAX_ARRAYS", 7)
    with pytest.raises(ValueError, match="would hold 8 arrays; the limit is 7"):
        pack("{}", arrays)
    with monkeypatch.context() as patch:
        patch.setattr("sk_mtl._codec.container.read_json", None)
        with pytest.raises(ValueError, match="more than 7 arrays"):
            unpack(content)
    # A name in which a letter is escaped is found once it is read.
    header = content[8:].replace(b'"data_offsets"', b'"data\\u005foffsets"')
    with pytest.raises(ValueError, match="more than 7 arrays"):
        unpack(forge(header, b""))


def test_nest_of_some_levels_is_json():
    assert read_json("[" * 64 + "]" * 64)


def test_repeated_array_is_refused():
    twice = CONTENT[8:HEADER_END].rstrip()[:-1] + b',"step":{}}'
    with pytest.raises(ValueError, match="repeats a key"):
        unpack(forge(twice))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\x05N.",
        b"PK\x03\x04" + b"\0" * 100,
        b"\x89PNG\r\n\x1a\n" + b"\0" * 100,
        b"\0" * 1000,
        b"\xff" * 1000,
        (2**62).to_bytes(8, "little") + b'{"a":1}',
    ],
    ids=["empty", "pickle", "zip", "png", "zeros", "ones", "long header"],
)
def test_foreign_content_is_refused(content):
    with pytest.raises(ValueError, match=r"not a file that sk_mtl has written"):
        unpack(content)
