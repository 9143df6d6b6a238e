"""Weights of rows or cells that cannot be used are refused with their message."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from bad_input import BOTH, N, W, X, Y, assert_refused


def weight(value):
    """Return weights of the rows with a value in row 4."""
    weights = W.copy()
    weights[4] = value
    return weights


# name: sample_weight, the error and its message
WEIGHTS = {
    "negative": (
        lambda: weight(-1.0),
        ValueError,
        "sample_weight must not be negative. Got negative weights in 2 of 35 labelled cells, "
        "the first in row 4, task 'flag'.",
    ),
    "NaN": (
        lambda: weight(np.nan),
        ValueError,
        "sample_weight must be finite on labelled cells. Got NaN or infinity in 2 of 35 "
        "labelled cells, the first in row 4, task 'flag'.",
    ),
    "infinite": (
        lambda: weight(np.inf),
        ValueError,
        "sample_weight must be finite on labelled cells. Got NaN or infinity in 2 of 35 "
        "labelled cells, the first in row 4, task 'flag'.",
    ),
    "a negative cell": (
        lambda: pd.DataFrame({"flag": weight(-1.0), "colour": W}),
        ValueError,
        "sample_weight must not be negative. Got negative weights in 1 of 35 labelled cells, "
        "the first in row 4, task 'flag'.",
    ),
    "a scalar below zero": (
        lambda: -1.0,
        ValueError,
        "sample_weight must not be negative. Got negative weights in 35 of 35 labelled "
        "cells, the first in row 0, task 'flag'.",
    ),
    "too short": (
        lambda: W[:5],
        ValueError,
        "sample_weight must have the shape (20,) (one weight per row) or (20, 2) (one per "
        "cell). Got (5,).",
    ),
    "too many tasks": (
        lambda: np.ones((N, 3)),
        ValueError,
        "sample_weight must have the shape (20,) (one weight per row) or (20, 2) (one per "
        "cell). Got (20, 3).",
    ),
    "transposed": (
        lambda: np.ones((2, N)),
        ValueError,
        "sample_weight must have the shape (20,) (one weight per row) or (20, 2) (one per "
        "cell). Got (2, 20).",
    ),
    "three dimensions": (
        lambda: np.ones((N, 2, 1)),
        ValueError,
        "sample_weight must have the shape (20,) (one weight per row) or (20, 2) (one per "
        "cell). Got (20, 2, 1).",
    ),
    "one row of cells": (
        lambda: np.ones((1, 2)),
        ValueError,
        "sample_weight must have the shape (20,) (one weight per row) or (20, 2) (one per "
        "cell). Got (1, 2).",
    ),
    "a frame too short": (
        lambda: pd.DataFrame({"flag": W[:5], "colour": W[:5]}),
        ValueError,
        "sample_weight must have the shape (20,) (one weight per row) or (20, 2) (one per "
        "cell). Got (5, 2).",
    ),
    "a frame of other tasks": (
        lambda: pd.DataFrame({"flag": W, "color": W}),
        ValueError,
        "The columns of sample_weight must be the tasks of y ('flag', 'colour'). Got 'flag', "
        "'color'.",
    ),
    "all zero": (
        lambda: 0 * W,
        ValueError,
        "sample_weight is zero on every labelled cell: at least one weight must be positive.",
    ),
    "too large": (
        lambda: weight(1e300),
        ValueError,
        "sample_weight is out of the range of float32, in which training computes: the "
        "largest weight is 1e+300. Rescale the weights, for instance to mean 1.",
    ),
    "too small": (
        lambda: 1e-300 * W,
        ValueError,
        "sample_weight is out of the range of float32, in which training computes: the "
        "largest weight is 1e-300. Rescale the weights, for instance to mean 1.",
    ),
    "text": (lambda: ["a"] * N, ValueError, "sample_weight must hold numbers: got text."),
    "numbers as text": (
        lambda: ["1"] * N,
        ValueError,
        "sample_weight must hold numbers: got text.",
    ),
    "None": (
        lambda: [None] * N,
        ValueError,
        "sample_weight must be finite on labelled cells. Got NaN or infinity in 35 of 35 "
        "labelled cells, the first in row 0, task 'flag'.",
    ),
    "dates": (
        lambda: np.full(N, np.datetime64("2020")),
        ValueError,
        "sample_weight must hold numbers: got datetime64[Y].",
    ),
    "complex numbers": (
        lambda: 1j * W,
        ValueError,
        "sample_weight must hold numbers: got complex128.",
    ),
    "balanced": (
        lambda: "balanced",
        TypeError,
        "sample_weight must be an array with one weight per row or per cell. Got 'balanced'; "
        "pass class weights as class_weight.",
    ),
    "weights of classes": (
        lambda: {0: 1.0},
        TypeError,
        "sample_weight must be an array with one weight per row or per cell. Got {0: 1.0}; "
        "pass class weights as class_weight.",
    ),
    "ragged": (
        lambda: [[1], [1, 2]],
        ValueError,
        "sample_weight must hold numbers: setting an array element with a sequence. The "
        "requested array has an inhomogeneous shape after 1 dimensions. The detected shape "
        "was (2,) + inhomogeneous part.",
    ),
    "sparse": (
        lambda: sp.csr_matrix(np.ones((N, 2))),
        TypeError,
        "sample_weight must be dense. Got a sparse matrix; use toarray().",
    ),
}


@BOTH
@pytest.mark.parametrize(("weights", "error", "message"), WEIGHTS.values(), ids=WEIGHTS)
def test_unusable_weights_are_refused(weights, error, message, state):
    assert_refused(lambda clf: clf.fit(X, Y, weights()), error, message, state)
