"""Every method reads X alike, in whatever table it comes: as a pandas frame of the same values."""

import narwhals
import narwhals.stable.v1 as nw_v1
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from helpers import make_tiny
from sklearn.base import clone

from sk_mtl.model_selection import cross_val_predict

N = 24
RNG = np.random.default_rng(0)
Y = pd.DataFrame({"a": np.arange(N) % 2, "b": np.arange(N) // 2 % 3})
NUMBERS = pd.DataFrame(RNG.normal(size=(N, 2)).round(2), columns=["u", "v"])
HOLES = NUMBERS.mask(RNG.random((N, 2)) < 0.2)
# Missing categories, and codes of categories that are not their values.
MIXED = HOLES.assign(
    c=pd.Categorical(np.where(np.arange(N) % 5, np.tile(["x", "y", "z"], N // 3), None)),
    k=pd.Categorical(np.tile([12, 10, 11, 10], N // 4)),
)
CHOSEN = {"categorical_features": ["c", "k"]}
BY_POSITION = {"categorical_features": [2, 3]}


def as_objects(frame):
    """Return an array of objects in which cells are missing as None."""
    return frame.astype(object).where(frame.notna(), None).to_numpy()


# name: the frame, how it is converted, parameters
KINDS = {
    "array": (NUMBERS, pd.DataFrame.to_numpy, {}),
    "Fortran": (NUMBERS, lambda X: np.asfortranarray(X.to_numpy()), {}),
    "lists": (NUMBERS, lambda X: X.to_numpy().tolist(), {}),
    "polars": (NUMBERS, pl.from_pandas, {}),
    "CSR": (NUMBERS, lambda X: sp.csr_matrix(X.to_numpy()), {}),
    "DOK": (NUMBERS, lambda X: sp.dok_array(X.to_numpy()), {}),
    "sparse columns": (NUMBERS, lambda X: X.astype(pd.SparseDtype(float, 0.0)), {}),
    "array with holes": (HOLES, pd.DataFrame.to_numpy, {}),
    "None": (HOLES, as_objects, {}),
    "NA": (HOLES, lambda X: X.astype(object).where(X.notna(), pd.NA), {}),
    "NA in an array": (HOLES, lambda X: np.where(X.isna(), pd.NA, X.to_numpy(object)), {}),
    "nullable": (HOLES, lambda X: X.astype("Float64"), {}),
    "sparse columns of NaN": (HOLES, lambda X: X.astype(pd.SparseDtype(float, np.nan)), {}),
    "a sparse column": (HOLES, lambda X: X.astype({"u": pd.SparseDtype(float, np.nan)}), {}),
    "objects": (MIXED, as_objects, BY_POSITION),
    "lists with categories": (MIXED, lambda X: as_objects(X).tolist(), BY_POSITION),
    "other dtypes": (MIXED, lambda X: X.astype({"c": object, "k": float}), CHOSEN),
    "polars with categories": (MIXED, lambda X: pl.from_pandas(X.astype({"k": int})), CHOSEN),
    "Arrow": (MIXED, lambda X: pa.Table.from_pandas(X.astype({"k": int})), CHOSEN),
    "narwhals": (MIXED, narwhals.from_native, {}),
    "narwhals v1": (MIXED, nw_v1.from_native, {}),
    "narwhals of polars": (
        MIXED,
        lambda X: narwhals.from_native(pl.from_pandas(X.astype({"k": int}))),
        CHOSEN,
    ),
}
METHODS = {
    "predict": lambda clf, X: clf.predict(X).to_numpy(),
    "predict_proba": lambda clf, X: np.hstack(clf.predict_proba(X)),
    "predict_log_proba": lambda clf, X: np.hstack(clf.predict_log_proba(X)),
    "predict_proba_frame": lambda clf, X: clf.predict_proba_frame(X).to_numpy(),
    "predict_std": lambda clf, X: np.hstack(clf.predict_std(X)),
    "score": lambda clf, X: clf.score(X, Y),
    "view.predict": lambda clf, X: clf.task_view("b").predict(X),
    "view.predict_proba": lambda clf, X: clf.task_view("b").predict_proba(X),
    "view.predict_log_proba": lambda clf, X: clf.task_view("b").predict_log_proba(X),
    "view.score": lambda clf, X: clf.task_view("b").score(X, Y["b"]),
}
FITS = {
    "validation_data": lambda clf, X: clf.fit(X, Y, validation_data=(X, Y)),
    "partial_fit": lambda clf, X: clf.partial_fit(X, Y, [[0, 1], [0, 1, 2]]).partial_fit(X, Y),
    "warm start": lambda clf, X: clf.set_params(warm_start=True).fit(X, Y).fit(X, Y),
    "pseudo-labels": lambda clf, X: clf.set_params(unlabelled="pseudo_labels").fit(
        X, Y.mask(Y.index.to_numpy()[:, None] % 3 == [0, 1])
    ),
    "cv": lambda clf, X: clf.set_params(early_stopping="cv", n_iter_no_change=1).fit(X, Y),
}


def make(**params):
    """Return an ensemble, which has every method."""
    return make_tiny(ensemble_size=2, **params)


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    """Return an estimator fitted to the frame, the frame, and its values as another kind."""
    frame, convert, params = KINDS[request.param]
    return make().fit(frame, Y), frame, convert(frame), params


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_methods_read_every_kind_alike(kind, method):
    clf, frame, X, _ = kind
    np.testing.assert_array_equal(method(clf, X), method(clf, frame))


def test_fit_reads_every_kind_alike(kind):
    clf, frame, X, params = kind
    expected = np.hstack(clf.predict_proba(frame))
    found = np.hstack(make(**params).fit(X, Y).predict_proba(X))
    # Sums over the rows of a sparse matrix may differ in their last bits.
    np.testing.assert_allclose(found, expected, atol=1e-5 if sp.issparse(X) else 0)


@pytest.mark.slow_except(
    "validation_data-*", "cv-*", "warm start-*", "partial_fit-*", "pseudo-labels-narwhals"
)
@pytest.mark.parametrize("name", ["NA", "Arrow", "narwhals"])
@pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
def test_other_fits_read_every_kind_alike(name, fit):
    frame, convert, params = KINDS[name]
    expected = np.hstack(fit(make(), frame).predict_proba(frame))
    found = np.hstack(fit(make(**params), convert(frame)).predict_proba(frame))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.slow_except("narwhals")
@pytest.mark.filterwarnings("ignore:.*class.*are not in each")
@pytest.mark.parametrize("name", ["NA", "objects", "polars with categories", "narwhals"])
def test_out_of_fold_predictions_read_every_kind_alike(name):
    frame, convert, params = KINDS[name]
    settings = {"cv": 2, "method": "predict_proba"}
    expected = cross_val_predict(make(), frame, Y, **settings)
    found = cross_val_predict(clone(make(**params)), convert(frame), Y, **settings)
    np.testing.assert_array_equal(np.hstack(found), np.hstack(expected))


def test_predictions_keep_the_index_inside_a_narwhals_frame():
    X = MIXED.set_index(MIXED.index + 100)
    clf = make().fit(X, Y.set_index(X.index))
    wrapped = narwhals.from_native(X)
    assert clf.predict(wrapped).index.equals(X.index)
    assert clf.predict_proba_frame(wrapped).index.equals(X.index)
