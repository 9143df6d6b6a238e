"""Values in messages are short."""

import pytest

from sk_mtl._names import did_you_mean
from sk_mtl._quoting import quote, shorten
from sk_mtl._tasks import enumerate_some


@pytest.mark.parametrize("value", ["a", 1.5, None, b"b", ["a", 1], "x" * 158])
def test_a_short_value_is_quoted_whole(value):
    assert quote(value) == repr(value)


def test_a_long_value_loses_its_middle():
    quoted = quote("a" * 10**6 + "b")
    assert len(quoted) == 160
    assert quoted.startswith("'aaa")
    assert quoted.endswith("aab'")
    assert "a...a" in quoted


def test_shortened_text_keeps_its_end():
    assert shorten("x" * 500 + " (3 cells)").endswith("x (3 cells)")


def test_enumerated_words_are_short():
    assert len(enumerate_some(["x" * 10**6] * 9)) < 1000


def test_no_name_is_suggested_for_a_long_one():
    assert did_you_mean("x" * 10**6, ["x" * 10**6]) == ""
    assert did_you_mean("ba", ["x" * 10**6, "ab"]) == " Did you mean 'ab'?"
