"""``fit_table``: the bits of `fit` where all rows fit into memory, and the same rows elsewhere."""

import os
import re
import threading
from functools import partial

import numpy as np
import pandas as pd
import pytest
from helpers import assert_same_fits, make_tiny
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_mtl import MultiTaskClassifier, fit_table
from sk_mtl._table import fit_table as module
from sk_mtl._table.hold_out import HoldOut
from sk_mtl._table.reading import Reading
from sk_mtl._train.loop import TrainingRun
from sk_mtl._train.resume import ResumePoint

pa = pytest.importorskip("pyarrow")
ds = pytest.importorskip("pyarrow.dataset")

N = 120
FEATURES, TASKS = ["width", "shop", "flag"], ["sold", "size"]


def make_table(seed=0, n_rows=N):
    """Return rows with numbers and categories, labels and weights, and holes in all of them."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "width": rng.normal(size=n_rows).astype(np.float32),
            "shop": pd.Categorical(rng.choice(["east", "north", "west"], n_rows)),
            "flag": rng.integers(0, 2, n_rows),
        }
    )
    score = table["width"] + rng.normal(size=n_rows)
    table["sold"] = np.where(score > 0, "yes", "no")
    table["size"] = np.digitize(score, [-1, 1]).astype(float)
    table["by_row"] = rng.random(n_rows) + 0.1
    table["by_cell"] = rng.integers(0, 3, n_rows)
    table["person"] = rng.integers(0, 40, n_rows)
    for name, share in (("width", 0.1), ("shop", 0.1), ("sold", 0.3), ("size", 0.6)):
        table.loc[rng.random(n_rows) < share, name] = None
    return table


TABLE, OTHERS = make_table(), make_table(1, 50)
fit_rows = partial(fit_table, features=FEATURES, batch_size=17)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder of Parquet with the rows in two files, and others beside it."""
    place = tmp_path_factory.mktemp("tables")
    (place / "rows").mkdir()
    TABLE[:80].to_parquet(place / "rows" / "a.parquet", row_group_size=30)
    TABLE[80:].to_parquet(place / "rows" / "b.parquet")
    OTHERS.to_parquet(place / "others.parquet")
    return place


def fit_in_memory(clf, sample_weight=None, *, is_validated=False):
    """Fit to the same rows in memory."""

    def weights(table):
        if isinstance(sample_weight, dict):
            ones = pd.Series(1, table.index)
            cells = {t: table[c] if c else ones for t, c in sample_weight.items()}
            return pd.DataFrame(cells)
        return None if sample_weight is None else table[sample_weight]

    validation = None
    if is_validated:
        validation = (OTHERS[FEATURES], OTHERS[TASKS], weights(OTHERS))
    return clf.fit(TABLE[FEATURES], TABLE[TASKS], weights(TABLE), validation_data=validation)


# ------------------------------------------------------------------------------------------------
# All rows in memory
# ------------------------------------------------------------------------------------------------


@pytest.mark.slow_except(
    "{'class_weight': 'balanced', 'batching': 'label_aware', 'batch_size': 16}",
    "{'class_weight': {'sold': {'yes': 3, 'no': 0}}}",
)
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"known_labels": True, "ensemble_size": 2},
        {"class_weight": "balanced", "batching": "label_aware", "batch_size": 16},
        {"class_weight": {"sold": {"yes": 3, "no": 0}}},
        {"calibrate": True, "task_weighting": "uncertainty"},
    ],
    ids=str,
)
def test_fit_has_the_bits_of_memory_with_validation_data(folder, params):
    clf = make_tiny(**params)
    fit_rows(clf, folder / "rows", TASKS, validation_data=folder / "others.parquet")

    assert_same_fits(clf, fit_in_memory(clone(clf), is_validated=True), TABLE[FEATURES])


@pytest.mark.parametrize(
    "sample_weight", ["by_row", {"sold": "by_row", "size": "by_cell"}], ids=str
)
def test_fit_has_the_bits_of_memory_with_weights(folder, sample_weight):
    clf = make_tiny(early_stopping=False, class_weight="balanced")
    fit_rows(clf, folder / "rows", TASKS, sample_weight=sample_weight)

    assert_same_fits(clf, fit_in_memory(clone(clf), sample_weight), TABLE[FEATURES])


def test_fitted_attributes_are_those_of_memory(folder):
    clf = make_tiny(early_stopping=False)
    fit_rows(clf, folder / "rows", TASKS)
    other = fit_in_memory(clone(clf))

    assert clf.feature_names_in_.tolist() == FEATURES
    assert clf.n_features_in_ == 3
    for found, expected in zip(clf.classes_, other.classes_, strict=True):
        np.testing.assert_array_equal(found, expected)
    assert str(clf.summary()) == str(other.summary())
    pd.testing.assert_frame_equal(clf.predict(OTHERS[FEATURES]), other.predict(OTHERS[FEATURES]))


def test_tasks_without_labels_and_with_one_class_are_told_as_in_memory(tmp_path):
    table = TABLE.assign(none=np.nan, one=np.where(TABLE["flag"] == 1, 4.0, np.nan))
    table.to_parquet(tmp_path / "rows.parquet")
    tasks, clf = [*TASKS, "none", "one"], make_tiny(early_stopping=False)
    n_ones = int(TABLE["flag"].sum())
    with pytest.warns(UserWarning, match="task") as told:
        fit_rows(clf, tmp_path / "rows.parquet", tasks)
    other = clone(clf)
    with pytest.warns(UserWarning, match="task") as expected:
        other.fit(table[FEATURES], table[tasks])

    assert [str(w.message) for w in told] == [str(w.message) for w in expected]
    assert f"{n_ones} label(s)" in str(told[1].message)
    assert_same_fits(clf, other, TABLE[FEATURES])


def test_fit_to_no_learnable_task_has_no_network(tmp_path):
    TABLE.assign(one="a").to_parquet(tmp_path / "rows.parquet")
    clf = make_tiny()
    with pytest.warns(UserWarning, match="have one class"):
        fit_rows(clf, tmp_path / "rows.parquet", ["one"])

    assert set(clf.predict(TABLE[FEATURES])["one"]) == {"a"}


# ------------------------------------------------------------------------------------------------
# Several windows
# ------------------------------------------------------------------------------------------------


@pytest.mark.slow_except("{}")
@pytest.mark.parametrize(
    "params",
    [{}, {"known_labels": True}, {"batching": "label_aware"}, {"class_weight": "balanced"}],
    ids=str,
)
def test_fit_by_windows_is_the_same_each_time_and_near_that_of_memory(folder, params):
    clf = make_tiny(early_stopping=False, epochs=4, batch_size=16, **params)
    again, whole = clone(clf), clone(clf)
    for each in (clf, again):
        fit_rows(each, folder / "rows", TASKS, shuffle_rows=40)
    fit_in_memory(whole)

    assert_same_fits(clf, again, TABLE[FEATURES])
    assert clf.history_["loss"][-1] == pytest.approx(whole.history_["loss"][-1], rel=0.1)
    assert clf.history_["loss"] != whole.history_["loss"]


def test_validation_rows_in_files_have_the_losses_of_memory(folder):
    clf = make_tiny(epochs=1, calibrate=True, optimizer__learning_rate=1e-30)
    whole = clone(clf)
    validation = folder / "others.parquet"
    fit_rows(clf, folder / "rows", TASKS, validation_data=validation, shuffle_rows=40)
    fit_rows(whole, folder / "rows", TASKS, validation_data=validation)

    for name in ("val_loss", "val_sold_loss"):
        assert clf.history_[name] == pytest.approx(whole.history_[name], rel=1e-5)
    np.testing.assert_allclose(clf.temperatures_, whole.temperatures_, rtol=1e-4)


def test_input_layers_are_those_of_memory_but_for_rounding(folder):
    clf = make_tiny(early_stopping=False, class_weight="balanced")
    fit_rows(clf, folder / "rows", TASKS, shuffle_rows=40)
    whole = fit_in_memory(clone(clf))

    assert clf._fitted.encoder.spec == whole._fitted.encoder.spec
    for name in ("shift", "scale", "lower"):
        found, expected = (
            [np.asarray(v) for v in c.model_.variables if v.name == name] for c in (clf, whole)
        )
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shuffle_rows", ["auto", 40])
def test_refit_trains_on_the_rows_that_were_held_out_too(folder, shuffle_rows):
    clf = make_tiny(early_stopping=True, refit=True, validation_fraction=0.3)
    fit_rows(clf, folder / "rows", TASKS, shuffle_rows=shuffle_rows)
    alone = make_tiny(early_stopping=True, validation_fraction=0.3)
    fit_rows(alone, folder / "rows", TASKS, shuffle_rows=shuffle_rows)

    assert clf.history_ == alone.history_
    first, second = (c._fitted.network.state.network for c in (clf, alone))
    assert any((a != b).any() for a, b in zip(first, second, strict=True))


@pytest.mark.slow
def test_callbacks_of_keras_are_called(folder):
    import keras

    seen = []
    told = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch))
    fit_rows(
        make_tiny(early_stopping=False, callbacks=[told]), folder / "rows", TASKS, shuffle_rows=40
    )

    assert seen == [0, 1]


# ------------------------------------------------------------------------------------------------
# Holding out
# ------------------------------------------------------------------------------------------------


def held_out_of(monkeypatch, clf, table, **options):
    """Return, by row of a batch, whether it was held out while a table is fitted."""
    chosen, choose = [], HoldOut.choose

    def note(self, frame, first):
        chosen.append(choose(self, frame, first))
        return chosen[-1]

    monkeypatch.setattr(HoldOut, "choose", note)
    fit_rows(clf, table, TASKS, **options)
    monkeypatch.undo()
    return np.concatenate(chosen)


def test_groups_are_held_out_as_a_whole_in_any_order(monkeypatch, tmp_path, folder):
    TABLE.sample(frac=1, random_state=0).to_parquet(tmp_path / "mixed.parquet", index=False)
    mixed = pd.read_parquet(tmp_path / "mixed.parquet")
    clf = make_tiny(early_stopping=True, validation_fraction=0.3)
    first = held_out_of(monkeypatch, clf, folder / "rows", groups="person")
    second = held_out_of(monkeypatch, clone(clf), tmp_path / "mixed.parquet", groups="person")

    held_out = set(TABLE["person"][first])
    assert held_out == set(mixed["person"][second])
    assert not held_out & set(TABLE["person"][~first])
    assert 0.1 < first.mean() < 0.5


def test_rows_held_out_do_not_depend_on_the_batch_size(monkeypatch, folder):
    clf = make_tiny(early_stopping=True, validation_fraction=0.3)
    first = held_out_of(monkeypatch, clf, folder / "rows")
    second = held_out_of(monkeypatch, clone(clf), folder / "rows", batch_size=1000)

    np.testing.assert_array_equal(first, second)
    assert 0.15 < first.mean() < 0.45


@pytest.mark.slow_except("120-False")
@pytest.mark.parametrize(("n_rows", "expected"), [(N, False), (2_100, True)])
def test_auto_holds_rows_out_of_2000_rows_and_more(n_rows, expected):
    clf = make_tiny(epochs=1)
    fit_rows(clf, iter([make_table(n_rows=4 * n_rows // 3 if expected else n_rows)]), TASKS)

    assert ("val_loss" in clf.history_) == expected


# ------------------------------------------------------------------------------------------------
# Tables
# ------------------------------------------------------------------------------------------------


def split_frames():
    return iter([TABLE[:50], TABLE[50:]])


def read_with_dask(place):
    return pytest.importorskip("dask.dataframe").read_parquet(place)


@pytest.fixture(scope="module")
def of_folder(folder):
    """Return an estimator that is fitted to the Parquet files."""
    clf = make_tiny(early_stopping=False, epochs=1)
    fit_rows(clf, folder / "rows", TASKS)
    return clf


@pytest.mark.parametrize(
    "open_table",
    [
        str,
        ds.dataset,
        lambda place: split_frames(),
        lambda place: split_frames,
        lambda place: iter([pa.Table.from_pandas(TABLE)]),
        lambda place: iter(pa.Table.from_pandas(TABLE).to_batches(max_chunksize=33)),
        read_with_dask,
    ],
    ids=["text", "dataset", "iterator", "function", "arrow", "batches", "dask"],
)
def test_tables_of_all_kinds_give_the_same_fit(folder, of_folder, open_table):
    clf = make_tiny(early_stopping=False, epochs=1)
    fit_rows(clf, open_table(folder / "rows"), TASKS)

    assert_same_fits(clf, of_folder, TABLE[FEATURES])


def test_features_are_all_other_columns_but_the_index_of_pandas(tmp_path):
    named = TABLE.sample(frac=1, random_state=0)  # an index that Parquet stores
    named.to_parquet(tmp_path / "rows.parquet")
    clf = make_tiny(epochs=1)
    fit_table(clf, tmp_path / "rows.parquet", TASKS, sample_weight="by_row", key="by_cell")

    assert clf.feature_names_in_.tolist() == [*FEATURES, "person"]


def test_batches_with_other_categories_and_types_are_as_the_whole_table():
    table = TABLE.assign(flag=TABLE["flag"].astype(float))
    table.loc[:59, "shop"] = table.loc[:59, "shop"].where(table["shop"] != "west")
    parts = [table[:60].assign(flag=TABLE["flag"][:60]), table[60:]]
    parts = [part.assign(shop=part["shop"].cat.remove_unused_categories()) for part in parts]
    clf, whole = make_tiny(early_stopping=False), make_tiny(early_stopping=False)
    fit_rows(clf, iter(parts), TASKS)
    whole.fit(table[FEATURES], table[TASKS])

    assert_same_fits(clf, whole, table[FEATURES])


def test_several_estimators_share_the_stored_table(monkeypatch, folder):
    n_stored, store = [], Reading._store
    monkeypatch.setattr(
        Reading, "_store", lambda self, *given: n_stored.append(1) or store(self, *given)
    )
    both = [make_tiny(early_stopping=False), make_tiny(early_stopping=False, random_state=1)]
    returned = fit_rows(both, folder / "rows", TASKS)
    monkeypatch.undo()

    assert returned is both
    assert len(n_stored) == 1
    for clf in both:
        assert_same_fits(clf, fit_in_memory(clone(clf)), TABLE[FEATURES])


# ------------------------------------------------------------------------------------------------
# Errors, and what is left
# ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "options", "message"),
    [
        ({"early_stopping": "cv"}, {}, "early_stopping='cv' trains on folds of a table in memory."),
        ({"unlabelled": "pseudo_labels"}, {}, "unlabelled='pseudo_labels' learns from the rows"),
        ({"refit": True}, {"validation_data": "x"}, "refit=True trains again on all rows"),
        ({"calibrate": True, "early_stopping": False}, {}, "calibrate=True needs validation rows"),
        ({"checkpoint": "here", "random_state": None}, {}, "checkpoint needs a random_state"),
        ({}, {"groups": "a", "key": "b"}, "groups and key both say by what rows are held out"),
        ({}, {"key": "a", "validation_data": "x"}, "key says which rows fit_table holds out"),
        ({}, {"sample_weight": {"sole": "w"}}, "names task 'sole', which is not among targets. "),
        ({}, {"shuffle_rows": 0}, "The 'shuffle_rows' parameter of fit_table must be an integer"),
    ],
    ids=str,
)
def test_what_cannot_work_is_refused_before_anything_is_read(params, options, message):
    def refuse():
        raise AssertionError("read")

    with pytest.raises(ValueError, match=re.escape(message)):
        fit_table(make_tiny(**params), refuse, TASKS, **options)


@pytest.mark.parametrize(
    ("estimator", "table", "targets", "message"),
    [
        (make_pipeline(StandardScaler(), make_tiny()), "x", TASKS, "Got Pipeline. The steps of a"),
        (make_tiny(), TABLE, TASKS, "table is a DataFrame, which is in memory: call the fit"),
        (make_tiny(), 3, TASKS, "table must be a path, a pyarrow.dataset.Dataset"),
        (make_tiny(), "x", "sold", "targets must be a list of columns, such as ['a', 'b']"),
        (make_tiny(), iter([3]), TASKS, "The batches of a table must be DataFrames"),
    ],
    ids=["pipeline", "frame", "number", "text", "batch"],
)
def test_what_is_not_a_table_is_refused(estimator, table, targets, message):
    with pytest.raises(TypeError, match=re.escape(message)):
        fit_table(estimator, table, targets)


@pytest.mark.parametrize(
    ("targets", "options", "message"),
    [
        (["solt"], {}, "The table lacks 1 column(s): 'solt'. Did you mean 'sold'?"),
        (TASKS, {"features": ["sold"]}, "1 column(s) are both features and targets: 'sold'."),
        (["by_row"], {"features": FEATURES}, "Unknown label type: continuous. Task 'by_row'"),
        (["sold"], {"features": ["size"], "groups": "shop"}, "Column 'shop' must have a value"),
    ],
    ids=["column", "both", "continuous", "groups"],
)
def test_columns_that_cannot_be_used_are_named(folder, targets, options, message):
    clf = make_tiny(early_stopping=True)
    with pytest.raises(ValueError, match=re.escape(message)):
        fit_table(clf, folder / "rows", targets, **options)

    assert not hasattr(clf, "classes_")


def test_rows_of_an_error_are_named(tmp_path):
    table = TABLE.assign(width=TABLE["width"].where(TABLE.index != 50, np.inf))
    with pytest.raises(ValueError, match=r"In rows 34 to 50 of the table: Input X contains infin"):
        fit_rows(make_tiny(), iter([table]), TASKS)


def test_file_that_cannot_be_read_is_named(tmp_path):
    TABLE.to_parquet(tmp_path / "rows.parquet")
    content = bytearray((tmp_path / "rows.parquet").read_bytes())
    content[4:2000] = bytes(1996)
    (tmp_path / "rows.parquet").write_bytes(bytes(content))

    with pytest.raises(Exception, match=r"rows\.parquet"):
        fit_rows(make_tiny(), tmp_path, TASKS)


def test_validation_data_is_named_in_errors(folder, tmp_path):
    OTHERS.drop(columns="width").to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(ValueError, match=r"In validation_data: The table lacks 1 column\(s\)"):
        fit_rows(make_tiny(), folder / "rows", TASKS, validation_data=tmp_path / "rows.parquet")


def test_table_that_changes_between_its_passes_is_refused():
    lengths = iter([20, 100, 90, 80])
    with pytest.raises(ValueError, match="it must have the same rows each time it is read"):
        fit_rows(make_tiny(early_stopping=False), lambda: iter([TABLE[: next(lengths)]]), TASKS)


def test_estimators_must_ask_for_one_stored_table(folder):
    with pytest.raises(ValueError, match=r"so that class_weight must be equal among them"):
        fit_rows([make_tiny(), make_tiny(class_weight="balanced")], folder / "rows", TASKS)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_folder_is_removed_after_an_error_and_after_ctrl_c(folder, tmp_path, monkeypatch, error):
    def fail(*given, **options):
        assert os.listdir(tmp_path)
        raise error

    monkeypatch.setattr(module, "_fit", fail)
    with pytest.raises(error):
        fit_rows(make_tiny(), folder / "rows", TASKS, folder=tmp_path)

    assert not os.listdir(tmp_path)


@pytest.mark.slow
def test_interrupted_fit_continues_from_its_checkpoint_with_the_same_bits(
    folder, tmp_path, monkeypatch
):
    clf = make_tiny(epochs=4, early_stopping=True, validation_fraction=0.3, checkpoint=tmp_path)
    whole, n_ended = clone(clf).set_params(checkpoint=None), []
    fit = partial(fit_rows, table=folder / "rows", targets=TASKS, shuffle_rows=40)
    fit(whole)

    def interrupt(self, read, progress):
        save(self, read, progress)
        n_ended.append(progress.epoch)
        if progress.epoch == 2:
            raise KeyboardInterrupt

    save = ResumePoint.save_if_due
    monkeypatch.setattr(
        ResumePoint, "_due", property(lambda s: 0.0, lambda s, v: None), raising=False
    )
    monkeypatch.setattr(ResumePoint, "save_if_due", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fit(clf)
    monkeypatch.setattr(ResumePoint, "save_if_due", save)
    assert n_ended == [1, 2]
    begun = []
    begin = TrainingRun.begin_epoch
    monkeypatch.setattr(TrainingRun, "begin_epoch", lambda self: begun.append(1) or begin(self))
    fit(clf)

    assert len(begun) == 2
    assert_same_fits(clf, whole, TABLE[FEATURES])
    assert not os.listdir(tmp_path)


def test_checkpoint_of_another_table_is_not_taken(folder, tmp_path, monkeypatch):
    clf = make_tiny(epochs=2, early_stopping=False, checkpoint=tmp_path)
    paths, save = [], ResumePoint.save_if_due

    def note(self, read, progress):
        paths.append(self.path)
        save(self, read, progress)

    monkeypatch.setattr(ResumePoint, "save_if_due", note)
    for table in (TABLE, TABLE, TABLE.assign(width=TABLE["width"] + np.float32(1e-3))):
        fit_rows(clf, iter([table]), TASKS, shuffle_rows=40)

    assert paths[0] == paths[1] != paths[2]


@pytest.mark.parametrize(
    "table",
    [lambda: iter([]), lambda: iter([TABLE[:0]]), iter([]), iter([TABLE[:0]])],
    ids=["no batch", "an empty batch", "an empty iterator", "an iterator of an empty batch"],
)
def test_table_without_rows_is_refused(table):
    with pytest.raises(ValueError, match="The table has no rows"):
        fit_table(make_tiny(early_stopping=False), table, TASKS)


def test_batches_of_a_function_are_read_in_the_thread_of_the_caller():
    here, threads = threading.get_ident(), set()

    def read():
        for start in range(0, N, 40):
            threads.add(threading.get_ident())
            yield TABLE[start : start + 40]

    fit_rows(make_tiny(early_stopping=False), read, TASKS)
    assert threads == {here}


def test_column_of_several_kinds_is_named():
    first, second = TABLE[:60].assign(sold=1), TABLE[60:]
    with pytest.raises(ValueError, match=r"Column 'sold' must have values of one kind.*int64"):
        fit_rows(make_tiny(early_stopping=False), lambda: [first, second], TASKS)


def test_labels_must_be_scalars():
    table = TABLE.assign(sold=[[1, 2]] * N)
    with pytest.raises(ValueError, match="column 'sold' must be scalars"):
        fit_rows(make_tiny(early_stopping=False), lambda: [table], TASKS)


@pytest.mark.parametrize("column", ["sold", "shop"])
def test_column_may_lack_values_in_the_first_batch(column):
    # pandas.read_csv takes such a column for one of floats.
    text = TABLE.astype({"shop": object})
    first, second = text[:40].assign(**{column: np.nan}), text[40:]
    clf = make_tiny(early_stopping=False, categorical_features=["shop"])
    fit_rows(clf, lambda: [first, second], TASKS)
    assert clf.classes_[0].tolist() == ["no", "yes"]
    assert clf.categories_["shop"].tolist() == ["east", "north", "west"]


@pytest.mark.slow
def test_many_estimators_are_trained_in_packs(folder):
    several = [
        MultiTaskClassifier((4,), epochs=2, early_stopping=False, jit_compile=True, random_state=k)
        for k in range(16)
    ]
    fit_rows(several, folder / "rows", TASKS, shuffle_rows=40)
    alone = clone(several[3])
    fit_rows(alone, folder / "rows", TASKS, shuffle_rows=40)

    for a, b in zip(
        several[3]._fitted.network.state.network, alone._fitted.network.state.network, strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
