"""The page about Dask and Ray runs, and what it promises holds."""

import os
import signal

import numpy as np
import pandas as pd
import pytest

PAGE = "engines"
METHODS = ["predict", "predict_proba", "complete", "complete_proba"]
pytestmark = [
    pytest.mark.neighbours,
    # Ray (2.60.0) sets parameters that it deprecates itself.
    pytest.mark.filterwarnings("ignore:::ray"),
]


@pytest.fixture(scope="module")
def visits(page):
    """A table of Dask; one of its partitions has no rows."""
    import dask.dataframe as dd

    parts = [page.table[:100], page.table[:0], page.table[100:]]
    return dd.concat([dd.from_pandas(part, npartitions=1) for part in parts])


@pytest.fixture(scope="module")
def cluster():
    """Two processes of Dask's scheduler."""
    from dask.distributed import Client, LocalCluster

    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        yield client


@pytest.fixture(scope="module")
def rows(page):
    """A table of Ray in three blocks."""
    import ray.data

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield ray.data.from_pandas([page.table[:100], page.table[100:230], page.table[230:]])
    ray.shutdown()


def predict_in_memory(page, method):
    """Return the predictions for the table of the page, with names as in the result."""
    clf, X, Y = page.clf, page.X, page.Y
    if method == "predict":
        return clf.predict(X)
    if method == "complete":
        return clf.complete(X, Y)
    is_complete = method == "complete_proba"
    frame = clf.complete_proba_frame(X, Y) if is_complete else clf.predict_proba_frame(X)
    return frame.set_axis([f"{task}={label}" for task, label in frame.columns], axis=1)


# ------------------------------------------------------------------------------------- the page


@pytest.mark.parametrize("name", ["predicted_by_dask", "predicted_by_ray"])
def test_files_of_the_page_hold_the_predictions_of_memory(page, name):
    found = pd.read_parquet(page.folder / name).sort_values("id")
    np.testing.assert_array_equal(found["id"], page.table["id"])
    np.testing.assert_array_equal(
        found.drop(columns="id"), predict_in_memory(page, "predict_proba")
    )


def test_completed_labels_are_those_of_memory(page):
    expected = page.clf.complete(page.X, page.Y)
    np.testing.assert_array_equal(page.completed[["y0", "y1"]], expected)


@pytest.mark.parametrize("search", ["dask_search", "ray_search"])
def test_searches_have_the_scores_of_a_serial_one(page, search):
    serial = page.GridSearchCV(page.clf, page.grid, scoring=page.scoring, cv=page.cv)
    serial.fit(page.X, page.Y)
    for key in ("split0_test_score", "split1_test_score"):
        found = getattr(page, search).cv_results_[key]
        np.testing.assert_array_equal(found, serial.cv_results_[key])


# ----------------------------------------------------------------------------------------- Dask


@pytest.mark.parametrize("method", METHODS)
def test_dask_gives_the_bits_names_and_types_of_memory(page, visits, method):
    lazy = page.predict_table(page.clf, visits, method=method)
    found = lazy.compute(scheduler="threads")
    pd.testing.assert_frame_equal(found, predict_in_memory(page, method), check_exact=True)
    assert list(lazy.columns) == list(found.columns)
    assert (lazy.dtypes == found.dtypes).all()


def test_dask_computes_nothing_until_it_is_asked(page, visits):
    computed = []

    def note(part):
        computed.append(len(part))
        return part

    noted = visits.map_partitions(note, meta=page.table.iloc[:0])
    lazy = page.predict_table(page.clf, noted)
    assert computed == []
    assert len(lazy.compute(scheduler="synchronous")) == len(page.table)
    assert sorted(computed) == [0, 100, 200]


def test_dask_computes_the_partition_of_a_killed_worker_again(page, visits, cluster, tmp_path):
    def die_once(part, mark):
        try:
            os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return part
        return os.kill(os.getpid(), signal.SIGKILL)

    mark = tmp_path / "died"
    deadly = visits.map_partitions(die_once, str(mark), meta=page.table.iloc[:0])
    found = page.predict_table(page.clf, deadly, method="predict_proba").compute()
    assert mark.exists()
    pd.testing.assert_frame_equal(found, predict_in_memory(page, "predict_proba"))


def test_dask_refuses_lacking_columns_at_once(page, visits):
    with pytest.raises(ValueError, match=r"lacks 1 column\(s\): 'shop'\."):
        page.predict_table(page.clf, visits.drop(columns="shop"))


def test_dask_writes_its_own_files(page, visits):
    with pytest.raises(ValueError, match=r"Dask writes its own tables"):
        page.predict_table(page.clf, visits, "out.parquet")


def test_other_collections_of_dask_are_refused(page, visits):
    for other in (visits["shop"], visits[["x0"]].to_dask_array(), visits.to_bag()):
        with pytest.raises(TypeError, match=f"Got {type(other).__name__}"):
            page.predict_table(page.clf, other)


def test_dask_runs_multitask_search_with_the_same_scores(page, cluster):
    from sk_mtl.model_selection import MultiTaskSearchCV

    def search():
        return MultiTaskSearchCV(page.clf, page.grid, scoring=page.scoring, cv=page.cv)

    serial = search().fit(page.X, page.Y)
    with page.joblib.parallel_backend("dask"):
        found = search().fit(page.X, page.Y)
    np.testing.assert_array_equal(
        found.cv_results_["mean_test_score"], serial.cv_results_["mean_test_score"]
    )


@pytest.fixture
def deadly_search(page, tmp_path):
    """A search of which one fit kills its process, the first time that it is done."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    from sk_mtl.model_selection import MultiTaskSearchCV

    mark, caller = str(tmp_path / "died"), os.getpid()

    def die_once(X):
        if os.getpid() != caller:
            try:
                os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                return X
            os.kill(os.getpid(), signal.SIGKILL)
        return X

    pipe = make_pipeline(FunctionTransformer(die_once), page.clf)
    grid = {f"multitaskclassifier__{name}": values for name, values in page.grid.items()}
    search = MultiTaskSearchCV(pipe, grid, scoring=page.scoring, cv=page.cv, refit=False)
    yield search
    assert (tmp_path / "died").exists()


def scores_of(search, page):
    """Return the mean scores of a search."""
    return search.fit(page.X, page.Y).cv_results_["mean_test_score"]


def test_dask_does_the_fits_of_a_killed_worker_again(page, cluster, deadly_search):
    serial = scores_of(deadly_search, page)
    with (
        page.joblib.parallel_config("dask"),
        pytest.warns(UserWarning, match=r"A worker of Dask was lost .* no result is lost"),
    ):
        found = scores_of(deadly_search, page)
    np.testing.assert_array_equal(found, serial)


# ------------------------------------------------------------------------------------------ Ray


@pytest.mark.parametrize("method", METHODS)
def test_ray_gives_the_bits_and_names_of_memory(page, rows, method):
    lazy = page.predict_table(page.clf, rows, method=method, keep=["id"], batch_size=64)
    found = lazy.to_pandas().sort_values("id")
    expected = predict_in_memory(page, method)
    assert list(found) == ["id", *expected]
    np.testing.assert_array_equal(found[list(expected)], expected)


def test_ray_takes_blocks_without_rows(page, rows):
    from ray.data.expressions import col

    few = rows.filter(expr=col("id") >= 290)
    assert page.predict_table(page.clf, few, method="predict_proba").count() == 10


def test_ray_refuses_lacking_columns_at_once(page, rows):
    with pytest.raises(ValueError, match=r"lacks 1 column\(s\): 'shop'\."):
        page.predict_table(page.clf, rows.drop_columns(["shop"]))


def test_ray_runs_multitask_search_with_the_same_scores(page, rows):
    from sk_mtl.model_selection import MultiTaskSearchCV

    def search():
        return MultiTaskSearchCV(page.clf, page.grid, scoring=page.scoring, cv=page.cv)

    serial = search().fit(page.X, page.Y)
    with page.joblib.parallel_backend("ray"):
        found = search().fit(page.X, page.Y)
    np.testing.assert_array_equal(
        found.cv_results_["mean_test_score"], serial.cv_results_["mean_test_score"]
    )


def test_ray_does_the_fits_of_a_killed_worker_again(page, rows, deadly_search):
    serial = scores_of(deadly_search, page)
    with (
        page.joblib.parallel_config("ray", n_jobs=-1),
        pytest.warns(UserWarning, match=r"A worker of Ray was lost .* no result is lost"),
    ):
        found = scores_of(deadly_search, page)
    np.testing.assert_array_equal(found, serial)
