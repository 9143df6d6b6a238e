"""Tests of sk_mtl._fit.class_priors: frequencies in, numbers for the logits out."""

import numpy as np
import pytest
from scipy.special import softmax

from sk_mtl._fit.class_priors import compute_adjusted_frequencies, compute_logit_offsets

FREQUENCIES = [np.array([0.9, 0.1]), np.array([0.5, 0.3, 0.2])]


def test_offsets_are_the_logarithms_of_the_frequencies():
    found = compute_logit_offsets(FREQUENCIES, 0.5)
    assert found.dtype == np.float32
    expected = 0.5 * np.array([np.log(0.1 / 0.9), *np.log([0.5, 0.3, 0.2])])
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("tau", [0.3, 1.0, 1.7])
def test_adjusted_frequencies_and_offsets_give_the_frequencies(tau):
    offsets = compute_logit_offsets(FREQUENCIES, tau)
    first, second = compute_adjusted_frequencies(FREQUENCIES, tau)
    assert first.sum() == pytest.approx(1)
    log_odds = np.log(first[1] / first[0]) + offsets[0]
    assert log_odds == pytest.approx(np.log(0.1 / 0.9), rel=1e-6)
    np.testing.assert_allclose(softmax(np.log(second) + offsets[1:]), FREQUENCIES[1], rtol=1e-6)


def test_all_of_the_frequencies_taken_out_leaves_equal_ones():
    for frequencies in compute_adjusted_frequencies(FREQUENCIES, 1.0):
        np.testing.assert_allclose(frequencies, 1 / len(frequencies))


def test_class_without_labels_stays_without():
    frequencies = [np.array([1.0, 0.0]), np.array([0.5, 0.0, 0.5])]
    np.testing.assert_allclose(
        compute_logit_offsets(frequencies, 1.0), [0, np.log(0.5), 0, np.log(0.5)], rtol=1e-6
    )
    binary, ternary = compute_adjusted_frequencies(frequencies, 1.5)
    np.testing.assert_array_equal(binary, [1, 0])
    np.testing.assert_allclose(ternary, [0.5, 0, 0.5])
