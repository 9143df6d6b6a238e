"""``python -m sk_mtl complete``: what it writes, what it prints, and what it refuses."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from command_tables import PARAMS, TINY

from sk_mtl import MultiTaskClassifier, load_model, save_model
from sk_mtl.__main__ import main

N = 150
RNG = np.random.default_rng(0)
A = RNG.integers(0, 2, N)
TABLE = pd.DataFrame(
    {
        "id": np.arange(N),
        "size": RNG.normal(size=N).round(3),
        "colour": RNG.choice(["red", "blue"], N),
        "a": np.where(A, "yes", "no"),
        "b": A.astype(float),
        "person": np.arange(N) // 2,
    }
)
HOLES = RNG.random((N, 2)) < 0.3
TABLE[["a", "b"]] = TABLE[["a", "b"]].mask(HOLES)
SETTINGS = ["--tasks", "a,b", "--drop", "id,person", *TINY]


@pytest.fixture
def folder(tmp_path):
    TABLE.to_csv(tmp_path / "table.csv", index=False)
    return tmp_path


def run(folder, *arguments, table="table.csv", output="filled.csv"):
    return main(["complete", str(folder / table), str(folder / output), *arguments])


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """Run the command once, with all that it can write; return its folder."""
    folder = tmp_path_factory.mktemp("complete")
    TABLE.to_csv(folder / "table.csv", index=False)
    files = ["--save-model", str(folder / "m.sk_mtl"), "--probabilities", str(folder / "p.csv")]
    assert run(folder, *SETTINGS, "--quiet", *files) == 0
    return folder


@cache
def expected():
    """Return the estimator that the command makes, fitted to the table, and its X."""
    X = TABLE[["size", "colour"]].astype({"colour": "category"})
    clf = MultiTaskClassifier(known_labels=True, random_state=0, **PARAMS)
    return clf.fit(X, TABLE[["a", "b"]]), X


def test_table_is_filled_as_in_python(fitted):
    clf, X = expected()
    found = pd.read_csv(fitted / "filled.csv")
    wanted = TABLE.assign(**dict(clf.complete(X, TABLE[["a", "b"]]).items()))
    pd.testing.assert_frame_equal(found, wanted, check_dtype=False)


def test_probabilities_are_those_of_python(fitted):
    clf, X = expected()
    found = pd.read_csv(fitted / "p.csv")
    assert found.columns.tolist() == ["a=no", "a=yes", "b=0", "b=1"]
    wanted = clf.complete_proba_frame(X, TABLE[["a", "b"]])
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_saved_model_fills_other_rows_which_may_lack_a_task(fitted):
    new = TABLE.drop(columns=["b", "id"]).head(20)
    new.to_csv(fitted / "new.csv", index=False)
    model = ["--model", str(fitted / "m.sk_mtl")]
    assert run(fitted, *model, "--quiet", table="new.csv", output="of_new.csv") == 0
    X = new[["size", "colour"]].astype({"colour": "category"})
    wanted = load_model(fitted / "m.sk_mtl").complete(X, new[["a"]])
    found = pd.read_csv(fitted / "of_new.csv")
    assert found["b"].tolist() == wanted["b"].tolist()
    assert found.columns.tolist() == [*new.columns, "b"]


def test_cells_that_are_not_filled_stay_as_they_stand_in_the_file(fitted):
    text = TABLE.assign(zip=[f"{i:05}" for i in range(N)], long=["1.50"] * N, none="NA")
    text.to_csv(fitted / "text.csv", index=False)
    model = ["--model", str(fitted / "m.sk_mtl"), "--quiet"]
    assert run(fitted, *model, table="text.csv", output="of_text.csv") == 0
    before, after = (
        pd.read_csv(fitted / name, dtype=str, keep_default_na=False)
        for name in ("text.csv", "of_text.csv")
    )
    others = [name for name in before if name not in ("a", "b")]
    pd.testing.assert_frame_equal(after[others], before[others])
    for task in ("a", "b"):
        known = before[task] != ""
        assert after[task][known].tolist() == before[task][known].tolist()


@pytest.mark.parametrize("ending", ["tsv", "dta", "parquet", "feather"])
def test_formats_hold_the_same_table(fitted, ending):
    pytest.importorskip("pyreadstat" if ending == "dta" else "pyarrow")
    write = {
        "tsv": lambda path: TABLE.to_csv(path, sep="\t", index=False),
        "dta": lambda path: TABLE.to_stata(path, write_index=False),
        "parquet": TABLE.to_parquet,
        "feather": TABLE.to_feather,
    }
    read = {
        "tsv": lambda path: pd.read_csv(path, sep="\t"),
        "dta": pd.read_stata,
        "parquet": pd.read_parquet,
        "feather": pd.read_feather,
    }
    write[ending](fitted / f"table.{ending}")
    model = ["--model", str(fitted / "m.sk_mtl"), "--quiet"]
    names = {"table": f"table.{ending}", "output": f"filled.{ending}"}
    assert run(fitted, *model, **names) == 0
    found = read[ending](fitted / f"filled.{ending}")
    wanted = pd.read_csv(fitted / "filled.csv")
    assert found["a"].tolist() == wanted["a"].tolist()
    assert found["b"].tolist() == wanted["b"].tolist()


def test_counts_are_printed(fitted, capsys):
    assert run(fitted, "--model", str(fitted / "m.sk_mtl")) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    n_holes = HOLES.sum(axis=0)
    assert lines[:3] == [
        ["task", "known", "filled"],
        ["a", str(N - n_holes[0]), str(n_holes[0])],
        ["b", str(N - n_holes[1]), str(n_holes[1])],
    ]


def test_codes_of_missing_labels_are_filled(folder):
    TABLE.fillna({"b": 98}).to_csv(folder / "table.csv", index=False)
    assert run(folder, *SETTINGS, "--missing", "98,99", "--quiet") == 0
    assert set(pd.read_csv(folder / "filled.csv")["b"]) == {0, 1}


def test_codes_may_be_negative_numbers(folder):
    TABLE.fillna({"b": -8}).to_csv(folder / "table.csv", index=False)
    assert run(folder, *SETTINGS, "--missing", "-8,-9", "--quiet") == 0
    assert set(pd.read_csv(folder / "filled.csv")["b"]) == {0, 1}


def test_groups_and_indicator_reach_the_estimator(folder):
    extras = ["--group", "person", "--indicator", "--save-model", str(folder / "m.sk_mtl")]
    assert run(folder, "--tasks", "a,b", "--drop", "id", *TINY, *extras, "--quiet") == 0
    clf = load_model(folder / "m.sk_mtl")
    assert clf.known_labels == "with_indicator"
    assert clf.feature_names_in_.tolist() == ["size", "colour"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Name the columns to fill"),
        (["--tasks", "a,bb"], "has no column 'bb'. Did you mean 'b'?"),
        (["--tasks", "a", "--drop", "ids"], "has no column 'ids'"),
        (["--tasks", "a", "--group", "persons"], "has no column 'persons'"),
        (["--tasks", "id,size,colour,a,b,person"], "No column is left"),
        (["--tasks", "a", "--probabilities", "p.xls"], "must end with one of"),
        (["--model", "none.sk_mtl"], "No such file"),
    ],
)
def test_mistakes_are_told_and_nothing_is_written(folder, capsys, arguments, message):
    assert run(folder, *arguments) == 2
    assert message in capsys.readouterr().err
    assert not (folder / "filled.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--drop", "id"], "--drop says how a network is fitted. --model names one that has been"),
        (["--keep-codes"], "--keep-codes says how a network is fitted"),
        (["--tasks", "a,c"], "m.sk_mtl has no task 'c'. Its tasks are 'a', 'b'."),
    ],
)
def test_options_that_a_model_does_not_take_are_refused(fitted, capsys, arguments, message):
    model = ["--model", str(fitted / "m.sk_mtl")]
    assert run(fitted, *model, *arguments, output="refused.csv") == 2
    assert message in capsys.readouterr().err


def test_some_tasks_of_a_model_are_filled(fitted):
    model = ["--model", str(fitted / "m.sk_mtl"), "--tasks", "b", "--quiet"]
    assert run(fitted, *model, output="some.csv") == 0
    found, both = pd.read_csv(fitted / "some.csv"), pd.read_csv(fitted / "filled.csv")
    assert found["a"].isna().sum() == HOLES[:, 0].sum()
    assert found["b"].tolist() == both["b"].tolist()


def test_names_that_the_output_cannot_hold_are_refused_first(folder, capsys):
    TABLE.rename(columns={"size": "size in cm"}).to_csv(folder / "table.csv", index=False)
    pytest.importorskip("pyreadstat")
    assert run(folder, *SETTINGS, output="filled.dta") == 2
    assert "Got 'size in cm'. Write a .csv or .parquet table." in capsys.readouterr().err


def test_a_row_that_cannot_be_read_is_told_with_its_line(folder, capsys):
    (folder / "table.csv").write_text("x,a\n1,no\n2,yes,3\n")
    assert run(folder, "--tasks", "a") == 2
    assert "line 3" in capsys.readouterr().err


def test_a_table_without_rows_is_refused(folder, capsys):
    (folder / "table.csv").write_text("x,a\n")
    assert run(folder, "--tasks", "a") == 2
    assert "has no rows" in capsys.readouterr().err


def test_an_old_output_stays_if_a_fit_fails(folder):
    (folder / "filled.csv").write_text("old")
    TABLE.assign(a=None).to_csv(folder / "table.csv", index=False)
    assert run(folder, "--tasks", "a", "--drop", "id,b,person", "--quiet") == 2
    assert (folder / "filled.csv").read_text() == "old"


def test_a_model_without_names_of_columns_is_refused(folder, capsys):
    rows = RNG.normal(size=(60, 2))
    clf = MultiTaskClassifier(hidden_layer_sizes=(4,), epochs=1, early_stopping=False)
    save_model(clf.fit(rows, rows > 0), folder / "m.sk_mtl")
    assert run(folder, "--model", str(folder / "m.sk_mtl")) == 2
    assert "was fitted to an array" in capsys.readouterr().err


@pytest.mark.filterwarnings("default")
def test_warnings_are_sentences(folder, capsys):
    TABLE.assign(a="no").to_csv(folder / "table.csv", index=False)
    assert run(folder, *SETTINGS, "--quiet") == 0
    assert capsys.readouterr().err.startswith("Warning: 1 task(s) have one class")
