"""``predict_table``: the bits of memory, batch by batch, and files whole or not at all."""

import os
import re
import subprocess
import sys
from functools import partial

import numpy as np
import pandas as pd
import pytest
from helpers import make_tiny
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_mtl import MultiTaskClassifier, MultiTaskEnsemble, _predict_table, predict_table
from sk_mtl import save_model as save
from sk_mtl.metrics import make_multitask_scorer
from sk_mtl.model_selection import MultiTaskStratifiedKFold

pa = pytest.importorskip("pyarrow")
ds = pytest.importorskip("pyarrow.dataset")
pq = pytest.importorskip("pyarrow.parquet")

N = 90
FEATURES = ["width", "count", "shop", "code"]
METHODS = ["predict", "predict_proba", "complete", "complete_proba"]


def make_table():
    """Return rows whose numbers, text and integer categories have holes in some batches only."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "width": rng.normal(size=N),
            "count": rng.integers(0, 9, N).astype(object),
            "shop": rng.choice(["east", "north", "west"], N),
            "code": rng.integers(0, 3, N).astype(object),
            "sold": rng.integers(0, 2, N).astype(object),
            "size": rng.choice(["S", "M", "L"], N),
            "id": [f"r{i}" for i in range(N)],
        }
    )
    table.loc[40:50, ["width", "count", "shop", "code"]] = None
    table.loc[30:60, "sold"] = None
    table.loc[50:80, "size"] = None
    return table


TABLE = make_table()
SCHEMA = pa.schema(
    [
        ("width", pa.float64()),
        ("count", pa.int64()),
        ("shop", pa.string()),
        ("code", pa.int32()),
        ("sold", pa.int8()),
        ("size", pa.string()),
        ("id", pa.string()),
    ]
)
ARROW = pa.Table.from_pandas(TABLE, schema=SCHEMA, preserve_index=False)
FRAME = ARROW.to_pandas()


@pytest.fixture(scope="module")
def clf():
    make = partial(make_tiny, known_labels=True, categorical_features=["shop", "code"])
    return make().fit(FRAME[FEATURES], FRAME[["sold", "size"]])


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "table.parquet"
    pq.write_table(ARROW, path)
    return path


def predict_in_memory(clf, method, table=FRAME):
    """Return what an estimator gives for a table in memory, with names as in the result."""
    X, Y = table[FEATURES], table[["sold", "size"]]
    if method == "predict":
        return clf.predict(X)
    if method == "complete":
        return clf.complete(X, Y)
    is_complete = method == "complete_proba"
    frame = clf.complete_proba_frame(X, Y) if is_complete else clf.predict_proba_frame(X)
    return frame.set_axis([f"{task}={label}" for task, label in frame.columns], axis=1)


def gather(batches):
    return pd.concat(batches)


def write_part(folder, number, table):
    pq.write_table(table, folder / f"part-{number}.parquet")


# ---------------------------------------------------------------------------------------- bits


@pytest.mark.slow_except("1-predict", "1-complete_proba", "7-*", "1000-*")
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_predictions_are_those_in_memory_to_the_bit(clf, path, method, batch_size):
    found = gather(predict_table(clf, path, method=method, batch_size=batch_size))
    pd.testing.assert_frame_equal(found, predict_in_memory(clf, method), check_exact=True)


@pytest.mark.parametrize("method", METHODS)
def test_file_holds_the_predictions_of_memory(clf, path, method):
    output = path.with_name("out.parquet")
    assert predict_table(clf, path, output, method=method, keep=["id"], batch_size=20) == N
    expected = FRAME[["id"]].join(predict_in_memory(clf, method))
    pd.testing.assert_frame_equal(pd.read_parquet(output), expected, check_exact=True)


def test_path_may_be_text(clf, path):
    output = path.with_name("out.parquet")
    assert predict_table(clf, str(path), str(output)) == N
    assert output.exists()


def test_dataset_of_arrow(clf):
    found = gather(predict_table(clf, ds.dataset(ARROW), batch_size=7))
    pd.testing.assert_frame_equal(found, predict_in_memory(clf, "predict"))


def test_labels_that_the_table_lacks_are_unknown(clf, path):
    pq.write_table(ARROW.drop_columns("size"), path)
    found = gather(predict_table(clf, path, method="complete_proba"))
    expected = predict_in_memory(clf, "complete_proba", FRAME.assign(size=None))
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


def test_order_of_columns_and_further_ones_may_differ_by_file(clf, tmp_path):
    write_part(tmp_path, 0, ARROW[:30])
    write_part(tmp_path, 1, ARROW[30:60].select(ARROW.column_names[::-1]))
    write_part(tmp_path, 2, ARROW[60:].append_column("note", pa.array(["x"] * 30)))
    found = gather(predict_table(clf, tmp_path, method="predict_proba"))
    pd.testing.assert_frame_equal(found, predict_in_memory(clf, "predict_proba"))


def test_dictionaries_may_differ_by_file(clf, tmp_path):
    for number, rows in enumerate([ARROW[:1], ARROW[1:40], ARROW[40:]]):
        column = rows["shop"].combine_chunks().dictionary_encode()
        write_part(tmp_path, number, rows.set_column(2, "shop", column))
    found = gather(predict_table(clf, tmp_path, method="predict_proba"))
    pd.testing.assert_frame_equal(found, predict_in_memory(clf, "predict_proba"))


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("shop", pa.nulls(30)),
        ("count", pa.nulls(30)),
        ("count", ARROW["count"][:30].cast(pa.float32())),
        ("shop", ARROW["shop"][:30].combine_chunks().dictionary_encode()),
        ("shop", ARROW["shop"][:30].cast(pa.large_string())),
    ],
    ids=["no text", "no number", "float32", "dictionary", "large_string"],
)
@pytest.mark.parametrize("is_first", [True, False])
def test_type_of_a_column_may_differ_by_file(clf, tmp_path, name, column, is_first):
    place = ARROW.column_names.index(name)
    other = ARROW[:30].set_column(place, name, column)
    parts = [other, ARROW[30:]] if is_first else [ARROW[30:], other]
    for number, part in enumerate(parts):
        write_part(tmp_path, number, part)
    table = pa.concat_tables([part.cast(SCHEMA) for part in parts]).to_pandas()

    found = gather(predict_table(clf, tmp_path, method="predict_proba"))

    expected = predict_in_memory(clf, "predict_proba", table)
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


def test_columns_may_be_in_the_names_of_folders(clf, tmp_path):
    known = FRAME.dropna(subset="code").astype({"code": int})
    known.to_parquet(tmp_path / "t", partition_cols=["code"])
    found = gather(predict_table(clf, tmp_path / "t", method="predict_proba"))
    expected = predict_in_memory(clf, "predict_proba", known.sort_values("code", kind="stable"))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.slow
def test_ensemble(path):
    X = FRAME[["width", "count"]].astype(float)
    ensemble = MultiTaskEnsemble(make_tiny(), n_candidates=2, cv=2, random_state=0)
    ensemble.fit(X, FRAME[["sold", "size"]])
    found = gather(predict_table(ensemble, path, method="predict_proba", batch_size=7))
    np.testing.assert_array_equal(found, ensemble.predict_proba_frame(X))
    labels = gather(predict_table(ensemble, path, batch_size=7))
    pd.testing.assert_frame_equal(labels, ensemble.predict(X))


@pytest.fixture(scope="module")
def pipe():
    scale = ColumnTransformer([("scale", StandardScaler(), ["width", "count"])])
    return make_pipeline(scale, make_tiny()).fit(FRAME[FEATURES], FRAME[["sold", "size"]])


@pytest.mark.parametrize("in_search", [False, True])
def test_pipeline_and_search(pipe, path, in_search):
    estimator = pipe
    if in_search:
        cv = MultiTaskStratifiedKFold(2)
        grid = {"multitaskclassifier__batch_size": [32]}
        estimator = GridSearchCV(pipe, grid, cv=cv, scoring=make_multitask_scorer("accuracy"))
        estimator.fit(FRAME[FEATURES], FRAME[["sold", "size"]])
    labels = gather(predict_table(estimator, path, batch_size=7))
    probabilities = gather(predict_table(estimator, path, method="predict_proba", batch_size=7))
    pd.testing.assert_frame_equal(labels, estimator.predict(FRAME[FEATURES]))
    expected = estimator.predict_proba(FRAME[FEATURES])
    np.testing.assert_array_equal(probabilities, np.hstack(expected))


@pytest.mark.slow_except("complete")
@pytest.mark.parametrize("method", ["predict", "complete"])
def test_names_of_tasks_may_be_numbers(path, method):
    X, Y = FRAME[["width", "count"]], FRAME[["sold", "size"]].set_axis([0, 1], axis=1)
    pq.write_table(ARROW.rename_columns([*FEATURES, "0", "1", "id"]), path)
    clf = make_tiny(known_labels=True).fit(X, Y)
    found = gather(predict_table(clf, path, method=method))
    expected = clf.predict(X) if method == "predict" else clf.complete(X, Y)
    pd.testing.assert_frame_equal(found, expected.set_axis(["0", "1"], axis=1))


@pytest.mark.slow_except("predict_proba")
@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_array_of_labels_has_the_names_that_the_estimator_gave(path, method):
    X = FRAME[["width", "count"]]
    clf = make_tiny().fit(X, np.arange(2 * N).reshape(N, 2) % 3)
    found = gather(predict_table(clf, path, method=method, batch_size=7))
    expected = clf.predict(X) if method == "predict" else clf.predict_proba_frame(X)
    np.testing.assert_array_equal(found, expected)
    assert found.columns[0] == ("y0" if method == "predict" else "y0=0")


def test_labels_of_polars(path):
    polars = pytest.importorskip("polars")
    X = FRAME[["width", "count"]]
    Y = polars.DataFrame({"n": list(range(N)), "t": ["a", "b"] * (N // 2)}).with_columns(
        polars.col("n") % 3
    )
    clf = make_tiny().fit(X, Y)
    found = gather(predict_table(clf, path, batch_size=7))
    pd.testing.assert_frame_equal(found, clf.predict(X).to_pandas())


# ---------------------------------------------------------------------------------------- keep


def test_kept_columns_come_first_and_once(clf, path):
    keep = ["id", "width", "id"]
    found = gather(predict_table(clf, path, keep=keep, batch_size=7))
    assert list(found) == ["id", "width", "sold", "size"]
    pd.testing.assert_frame_equal(found[["id", "width"]], FRAME[["id", "width"]])


@pytest.mark.parametrize(
    "column",
    [
        pa.array([None] * 30 + [2**53 + 1] * 30 + [None, 7] * 15),
        pa.array([2**53 + 1] * 30 + [None] * 60),
        pa.array([None] * 30 + [18_000] * 60, pa.date32()),
        pa.array([None] * 30 + [True] * 60),
        pa.array([None] * 30 + ["a"] * 60),
        pa.array([None] * 30 + [[1, 2]] * 60),
        pa.nulls(N),
        pa.array([str(i) for i in range(N)]).dictionary_encode(),
    ],
    ids=["int", "nulls later", "date", "bool", "text", "list", "null", "dictionary"],
)
def test_kept_columns_in_a_file_are_as_they_were(clf, path, column):
    pq.write_table(ARROW.append_column("kept", column), path)
    output = path.with_name("out.parquet")
    predict_table(clf, path, output, keep=["kept"], batch_size=30)
    found = pq.read_table(output)["kept"].combine_chunks()
    assert found.cast(column.type).to_pylist() == column.to_pylist()
    assert found.type == pq.read_table(path)["kept"].type


def test_index_of_pandas_with_a_name_is_a_column(clf, path):
    FRAME.set_index("id").to_parquet(path)
    found = gather(predict_table(clf, path, keep=["id"]))
    assert list(found["id"]) == list(FRAME["id"])


def test_index_numbers_the_rows_of_all_batches(clf, path):
    batches = list(predict_table(clf, path, batch_size=40))
    assert [batch.index[0] for batch in batches] == [0, 40, 80]


# --------------------------------------------------------------------------------------- output


@pytest.fixture
def failing(monkeypatch):
    """The third batch fails."""
    calls = []
    predict = MultiTaskClassifier.predict

    def fail_late(self, X):
        calls.append(len(X))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return predict(self, X)

    monkeypatch.setattr(MultiTaskClassifier, "predict", fail_late)


@pytest.mark.usefixtures("failing")
def test_late_error_leaves_the_old_file_and_no_other(clf, path):
    output = path.with_name("out.parquet")
    output.write_text("old")
    with pytest.raises(KeyboardInterrupt):
        predict_table(clf, path, output, batch_size=7)
    assert output.read_text() == "old"
    assert sorted(os.listdir(path.parent)) == ["out.parquet", "table.parquet"]


def test_old_file_is_replaced_and_keeps_its_mode(clf, path):
    output = path.with_name("out.parquet")
    output.write_text("old")
    output.chmod(0o640)
    assert predict_table(clf, path, output) == N
    assert pq.read_metadata(output).num_rows == N
    assert output.stat().st_mode & 0o777 == 0o640
    assert sorted(os.listdir(path.parent)) == ["out.parquet", "table.parquet"]


def test_output_that_is_read_is_refused(clf, path):
    with pytest.raises(ValueError, match="among the files that are read"):
        predict_table(clf, path, path)
    with pytest.raises(ValueError, match="would be next time"):
        predict_table(clf, path.parent, path.with_name("new.parquet"))
    with pytest.raises(ValueError, match="among the files that are read"):
        predict_table(clf, ds.dataset(str(path)), path)


def test_output_that_cannot_be_written_is_refused_before_anything_is_read(clf, path, monkeypatch):
    monkeypatch.setattr(_predict_table, "iterate_batches", None)
    with pytest.raises(ValueError, match=r"is a folder\. Name a file"):
        predict_table(clf, path, path.parent)
    with pytest.raises(ValueError, match="there is no folder"):
        predict_table(clf, path, path.parent / "no" / "out.parquet")


def test_no_rows(clf, path):
    pq.write_table(ARROW[:0], path)
    assert list(predict_table(clf, path)) == []
    with pytest.raises(ValueError, match=r"The table has no rows\."):
        predict_table(clf, path, path.with_name("out.parquet"))
    assert os.listdir(path.parent) == ["table.parquet"]


def test_file_without_rows_among_others(clf, tmp_path):
    for number, rows in enumerate([ARROW[:0], ARROW[:50], ARROW[:0], ARROW[50:]]):
        write_part(tmp_path, number, rows)
    found = gather(predict_table(clf, tmp_path))
    pd.testing.assert_frame_equal(found, predict_in_memory(clf, "predict"))


# --------------------------------------------------------------------------------------- memory


class _Counted:
    """A dataset that counts the batches that were asked for."""

    schema = ARROW.schema
    n_read = 0

    def to_batches(self, columns, batch_size, **options):
        for _ in range(1000):
            self.n_read += 1
            yield ARROW.select(columns).to_batches()[0]


def test_a_batch_is_read_when_it_is_needed(clf, monkeypatch):
    counted = _Counted()
    monkeypatch.setattr(_predict_table, "open_dataset", lambda *_: counted)
    batches = predict_table(clf, "any")
    assert counted.n_read == 0
    next(batches)
    next(batches)
    assert counted.n_read == 2


def test_a_batch_is_written_before_the_next_is_read(clf, tmp_path, monkeypatch):
    counted, ahead = _Counted(), []
    write_table = pq.ParquetWriter.write_table

    def write(self, table, *args):
        ahead.append(counted.n_read - len(ahead))
        return write_table(self, table, *args)

    monkeypatch.setattr(_predict_table, "open_dataset", lambda *_: counted)
    monkeypatch.setattr(_Counted, "to_batches", _take(_Counted.to_batches, 5))
    monkeypatch.setattr(pq.ParquetWriter, "write_table", write)
    assert predict_table(clf, "any", tmp_path / "out.parquet") == 5 * N
    assert ahead == [1] * 5


def _take(iterate, n):
    def first(self, **options):
        return (batch for _, batch in zip(range(n), iterate(self, **options), strict=False))

    return first


def test_a_row_group_of_a_file_is_read_when_it_is_needed(clf, path):
    rows = pa.concat_tables([ARROW] * 40)
    pq.write_table(rows, path, row_group_size=N)
    before = pa.total_allocated_bytes()
    held = [pa.total_allocated_bytes() - before for _ in predict_table(clf, path)]
    assert len(held) == 40
    assert max(held) < rows.nbytes / 4


def test_only_columns_that_are_needed_are_read(clf, monkeypatch):
    asked = []

    class Dataset(_Counted):
        def to_batches(self, columns, batch_size, **options):
            asked.append((columns, batch_size))
            return super().to_batches(columns, batch_size)

    monkeypatch.setattr(_predict_table, "open_dataset", lambda *_: Dataset())
    next(predict_table(clf, "any", keep=["id", "width"], batch_size=9))
    assert asked == [([*FEATURES, "id"], 9)]


# --------------------------------------------------------------------------------------- errors


def test_lacking_columns(clf, path):
    pq.write_table(ARROW.rename_columns(["widht", *ARROW.column_names[1:]]), path)
    message = "The table lacks 2 column(s): 'width', 'key'. Did you mean 'widht'?"
    with pytest.raises(ValueError, match=re.escape(message)):
        predict_table(clf, path, keep=["key"])


def test_column_that_one_file_lacks(clf, tmp_path):
    write_part(tmp_path, 0, ARROW[:30])
    write_part(tmp_path, 1, ARROW[30:].drop_columns("shop"))
    with pytest.raises(ValueError, match=r"part-1\.parquet lacks 1 column\(s\) that .*: 'shop'\."):
        predict_table(clf, tmp_path)


def test_column_of_other_kind_in_one_file(clf, tmp_path):
    write_part(tmp_path, 0, ARROW[:30])
    write_part(tmp_path, 1, ARROW[30:].set_column(0, "width", pa.array(["a"] * 60)))
    with pytest.raises(ValueError, match=r"columns of the same kinds.*Field width"):
        predict_table(clf, tmp_path)


def test_folder_without_files_and_with_others(clf, tmp_path):
    with pytest.raises(ValueError, match=r"must hold Parquet files, .*: it has none\."):
        predict_table(clf, tmp_path)
    write_part(tmp_path, 0, ARROW)
    for ignored in ("_SUCCESS", ".part-0.crc"):
        (tmp_path / ignored).write_text("")
    assert len(gather(predict_table(clf, tmp_path))) == N
    (tmp_path / "readme.txt").write_text("about the files")
    with pytest.raises(ValueError, match=r"must hold Parquet files, .*readme\.txt"):
        predict_table(clf, tmp_path)


def test_no_such_path(clf, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.parquet"):
        predict_table(clf, tmp_path / "none.parquet")


@pytest.mark.parametrize("table", [FRAME, ARROW, FRAME.to_numpy(), None, 3])
def test_other_tables_are_refused(clf, table):
    with pytest.raises(TypeError, match=f"Got {type(table).__name__}.*call the estimator itself"):
        predict_table(clf, table)


def test_other_estimators_are_refused(path):
    other = LogisticRegression().fit(FRAME[["width"]].fillna(0), np.arange(N) % 2)
    with pytest.raises(
        TypeError, match=r"must be a MultiTaskClassifier.* Got LogisticRegression\."
    ):
        predict_table(other, path)


def test_estimator_without_names_is_refused(path):
    clf = make_tiny().fit(np.eye(10), np.arange(10) % 2)
    with pytest.raises(ValueError, match="fitted to an array, whose columns have no names"):
        predict_table(clf, path)


def test_method_that_an_estimator_lacks(pipe, path):
    with pytest.raises(ValueError, match="Pipeline has no complete_proba: pass the MultiTask"):
        predict_table(pipe, path, method="complete_proba")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"method": "predict_std"}, "'method' parameter of predict_table must be one of 'predict'"),
        ({"batch_size": 0}, "'batch_size' parameter of predict_table must be an integer >= 1"),
        ({"keep": "id"}, r"keep must be a list of columns: \['id'\]\. Got text\."),
        ({"keep": ["size"]}, r"keep names 1 column\(s\) that hold predictions: 'size'\."),
    ],
)
def test_parameters_are_checked(clf, path, params, message):
    with pytest.raises((TypeError, ValueError), match=message):
        predict_table(clf, path, **params)


def test_unfitted_estimator(path):
    with pytest.raises(ValueError, match="not fitted yet"):
        predict_table(make_tiny(), path)


def test_without_pyarrow_the_error_says_how_to_install_it(clf, path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.dataset", None)
    with pytest.raises(ImportError, match=r'pip install "sk_mtl\[tables\]"'):
        predict_table(clf, path)


@pytest.mark.slow
def test_needs_no_tensorflow(clf, path, tmp_path):
    save(clf, tmp_path / "m.sk_mtl")
    script = (
        "import sys\n"
        "for name in ('tensorflow', 'keras', 'scikeras'): sys.modules[name] = None\n"
        "from sk_mtl import load_model, predict_table\n"
        "model, table, output = sys.argv[1:]\n"
        "for method in ('predict', 'complete_proba'):\n"
        f"    assert predict_table(load_model(model), table, output, method=method) == {N}\n"
    )
    paths = [tmp_path / "m.sk_mtl", path, tmp_path / "out.parquet"]
    command = [sys.executable, "-c", script, *map(str, paths)]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    expected = predict_in_memory(clf, "complete_proba")
    pd.testing.assert_frame_equal(pd.read_parquet(paths[2]), expected, check_exact=True)
