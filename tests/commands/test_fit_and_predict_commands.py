"""``python -m sk_mtl fit`` and ``predict``: the numbers are those of Python, from every format."""

import numpy as np
import pandas as pd
import pytest
from command_tables import FIT, PARAMS, TASKS, TINY, features_of, fit_in_python, make_census

from sk_mtl import MultiTaskClassifier, load_model
from sk_mtl.__main__ import main

pyreadstat = pytest.importorskip("pyreadstat")
pytest.importorskip("pyarrow")

WRITERS = {
    "csv": lambda table, path: table.to_csv(path, index=False),
    "tsv": lambda table, path: table.to_csv(path, index=False, sep="\t"),
    "parquet": lambda table, path: table.to_parquet(path),
    "feather": lambda table, path: table.to_feather(path),
    "dta": pyreadstat.write_dta,
    "sav": pyreadstat.write_sav,
    "zsav": lambda table, path: pyreadstat.write_sav(table, path, compress=True),
    "xpt": pyreadstat.write_xport,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with the table in a CSV, and a model fitted to it."""
    folder = tmp_path_factory.mktemp("fit")
    make_census().to_csv(folder / "table.csv", index=False)
    assert fit(folder) == 0
    return folder


@pytest.fixture(scope="module")
def in_python(folder):
    return fit_in_python(folder / "table.csv")


def fit(folder, *arguments, table="table.csv", model="m.sk_mtl"):
    return main(["fit", str(folder / table), "--model", str(folder / model), *FIT, *arguments])


def predict(folder, *arguments, table="table.csv", output="p.csv", model="m.sk_mtl"):
    paths = [str(folder / table), str(folder / output)]
    return main(["predict", *paths, "--model", str(folder / model), "--quiet", *arguments])


def assert_same_bits(first, second, X):
    for one, other in zip(first.predict_proba(X), second.predict_proba(X), strict=True):
        np.testing.assert_array_equal(one, other)


# ----------------------------------------------------------------------------------------- fit


@pytest.mark.slow
def test_codes_in_a_csv_are_text_as_in_a_format_with_types(tmp_path):
    codes = ["01", "1", "02", "10"] * 25
    table = make_census(100).assign(code=codes)
    table.to_csv(tmp_path / "table.csv", index=False)
    table.to_parquet(tmp_path / "typed.parquet")
    assert fit(tmp_path, "--categorical", "code") == 0
    assert fit(tmp_path, table="typed.parquet", model="typed.sk_mtl") == 0

    first, second = (load_model(tmp_path / name) for name in ("m.sk_mtl", "typed.sk_mtl"))
    assert list(first.categories_["code"]) == ["01", "02", "1", "10"]
    assert_same_bits(first, second, features_of(table))


def test_fit_is_that_of_python_bit_for_bit(folder, in_python):
    clf, X = in_python
    assert_same_bits(load_model(folder / "m.sk_mtl"), clf, X)


@pytest.mark.slow_except("parquet", "dta")
@pytest.mark.parametrize("ending", [e for e in WRITERS if e != "csv"])
def test_format_of_the_table_changes_no_bit(folder, in_python, ending):
    clf, X = in_python
    WRITERS[ending](pd.read_csv(folder / "table.csv"), folder / f"same.{ending}")
    assert fit(folder, table=f"same.{ending}", model=f"{ending}.sk_mtl") == 0
    assert_same_bits(load_model(folder / f"{ending}.sk_mtl"), clf, X)


@pytest.mark.slow
def test_defaults_are_those_of_python_on_more_rows(tmp_path):
    make_census(2_500).to_csv(tmp_path / "table.csv", index=False)
    arguments = ["--model", str(tmp_path / "m"), "--tasks", ",".join(TASKS), "--drop", "id"]
    assert main(["fit", str(tmp_path / "table.csv"), *arguments, "--quiet"]) == 0
    table = pd.read_csv(tmp_path / "table.csv")
    X = features_of(table)
    assert_same_bits(
        load_model(tmp_path / "m"), MultiTaskClassifier(random_state=0).fit(X, table[TASKS]), X
    )


@pytest.mark.slow
def test_weights_groups_and_known_labels_reach_the_estimator(tmp_path):
    table = make_census(120).assign(person=np.arange(120) // 2, w=np.arange(120) % 3)
    table.to_csv(tmp_path / "table.csv", index=False)
    options = ["--weight", "w", "--group", "person", "--known-labels", "--random-state", "3"]
    assert fit(tmp_path, *options) == 0
    table = pd.read_csv(tmp_path / "table.csv")
    X = features_of(table).drop(columns=["person", "w"])
    clf = MultiTaskClassifier(known_labels=True, random_state=3, **PARAMS)
    clf.fit(X, table[TASKS], sample_weight=table["w"], groups=table["person"])
    assert_same_bits(load_model(tmp_path / "m.sk_mtl"), clf, X)


@pytest.mark.slow
def test_numbers_are_categories_on_request(tmp_path):
    make_census(100).to_csv(tmp_path / "table.csv", index=False)
    assert fit(tmp_path, "--categorical", "num_emp") == 0
    table = pd.read_csv(tmp_path / "table.csv")
    X = features_of(table.astype({"num_emp": str}))
    clf = MultiTaskClassifier(random_state=0, **PARAMS).fit(X, table[TASKS])
    assert_same_bits(load_model(tmp_path / "m.sk_mtl"), clf, X)
    assert predict(tmp_path) == 0


def test_summary_goes_to_stdout_and_progress_to_stderr(folder, capsys):
    arguments = [a for a in FIT if a != "--quiet"]
    model = ["--model", str(folder / "told.sk_mtl")]
    assert main(["fit", str(folder / "table.csv"), *model, *arguments]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("300 rows, 6 features; 2 epochs.\n")
    assert [line.split() for line in out.splitlines()[1:3]] == [
        ["task", "labelled", "share", "classes"],
        ["income_50k", "300", "100", "%", "2"],
    ]
    assert "Wrote" in out
    assert "epoch" in err
    assert "Wrote" not in err


def test_quiet_prints_nothing(folder, capsys):
    assert fit(folder, model="quiet.sk_mtl") == 0
    assert capsys.readouterr() == ("", "")


def test_model_is_scored_on_rows_set_aside(folder, capsys):
    arguments = [a for a in FIT if a != "--quiet"]
    model = ["--model", str(folder / "tested.sk_mtl")]
    assert main(["fit", str(folder / "table.csv"), *model, *arguments, "--test-size", ".2"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("240 rows")
    assert "Scores on 60 rows that were not trained on" in out
    assert "roc_auc" in out


def test_model_is_scored_on_a_table(folder, capsys):
    make_census(50).drop(columns="education").to_csv(folder / "test.csv", index=False)
    arguments = [a for a in FIT if a != "--quiet"]
    more = ["--model", str(folder / "t.sk_mtl"), "--test-table", str(folder / "test.csv")]
    assert main(["fit", str(folder / "table.csv"), *more, *arguments]) == 0
    assert "Scores on 50 rows" in capsys.readouterr().out


# ------------------------------------------------------------------------------------- predict


def test_predictions_are_those_of_python(folder, in_python):
    clf, X = in_python
    assert predict(folder, "--keep", "id,age", "--probabilities") == 0
    found = pd.read_csv(folder / "p.csv")
    table = pd.read_csv(folder / "table.csv")
    pd.testing.assert_frame_equal(found[["id", "age"]], table[["id", "age"]])
    pd.testing.assert_frame_equal(found[TASKS], clf.predict(X), check_dtype=False)
    probabilities = clf.predict_proba_frame(X)
    assert found.columns[5:].tolist() == [f"{t}={label}" for t, label in probabilities.columns]
    np.testing.assert_array_equal(
        found[found.columns[5:]].astype(np.float32).to_numpy(), probabilities.to_numpy()
    )


@pytest.mark.parametrize("ending", WRITERS)
def test_predictions_are_written_in_each_format(folder, ending):
    assert predict(folder, "--keep", "id", output=f"of.{ending}") == 0
    assert predict(folder, "--keep", "id", output="of.csv") == 0
    again = {
        "csv": pd.read_csv,
        "tsv": lambda path: pd.read_csv(path, sep="\t"),
        "parquet": pd.read_parquet,
        "feather": pd.read_feather,
        "dta": lambda path: pyreadstat.read_dta(path)[0],
        "sav": lambda path: pyreadstat.read_sav(path)[0],
        "zsav": lambda path: pyreadstat.read_sav(path)[0],
        "xpt": lambda path: pyreadstat.read_xport(path)[0],
    }[ending](folder / f"of.{ending}")
    pd.testing.assert_frame_equal(again, pd.read_csv(folder / "of.csv"), check_dtype=False)


def test_kept_columns_of_text_are_as_they_were(folder):
    table = make_census(20).assign(zip=[f"{i:05}" for i in range(20)])
    table.to_csv(folder / "zips.csv", index=False)
    assert predict(folder, "--keep", "zip", table="zips.csv", output="of_zips.csv") == 0
    assert pd.read_csv(folder / "of_zips.csv", dtype=str)["zip"][7] == "00007"


def test_text_that_looks_like_numbers_is_text_to_a_model_of_text(tmp_path):
    table = make_census(100).assign(code=["01", "02", "A", "B"] * 25)
    table.to_csv(tmp_path / "table.csv", index=False)
    assert fit(tmp_path) == 0
    table[table["code"].isin(["01", "02"])].to_csv(tmp_path / "part.csv", index=False)
    assert predict(tmp_path, "--probabilities", output="all.csv") == 0
    assert predict(tmp_path, "--probabilities", table="part.csv", output="of_part.csv") == 0
    expected = pd.read_csv(tmp_path / "all.csv")[table["code"].isin(["01", "02"])]
    pd.testing.assert_frame_equal(
        pd.read_csv(tmp_path / "of_part.csv"), expected.reset_index(drop=True)
    )


def test_unknown_categories_are_told(folder, capsys):
    make_census(30).assign(sex=["?"] * 3 + ["Female"] * 27).to_csv(
        folder / "unknown.csv", index=False
    )
    assert predict(folder, table="unknown.csv") == 0
    assert capsys.readouterr().err == (
        "Warning: Column 'sex': 3 cell(s) have 1 value(s) that the model does not know, and count "
        "as missing: '?' (3).\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--keep", "idd"], "has no column 'idd'. Did you mean 'id'?"),
        (["--keep", "education"], "'education' is a task of the model"),
    ],
)
def test_mistakes_in_options_of_predict(folder, capsys, arguments, message):
    assert predict(folder, *arguments, output="none.csv") == 2
    assert message in capsys.readouterr().err
    assert not (folder / "none.csv").exists()


def test_columns_that_the_table_lacks_are_named(folder, capsys):
    make_census(30).drop(columns=["age", "sex"]).to_csv(folder / "lacks.csv", index=False)
    assert predict(folder, table="lacks.csv") == 2
    assert "lacks 2 of the 6 columns that the model reads: 'age', 'sex'" in capsys.readouterr().err


def test_names_that_a_format_cannot_hold_are_refused_first(folder, capsys):
    assert predict(folder, "--probabilities", table="none.csv", output="p.dta") == 2
    assert "are of letters, digits and _. Got 'income_50k=<=50K'" in capsys.readouterr().err


def test_output_never_replaces_what_is_read(folder, capsys):
    before = (folder / "table.csv").read_bytes()
    assert predict(folder, output="table.csv") == 2
    assert fit(folder, model="table.csv") == 2
    assert capsys.readouterr().err.count("is read by this command, and would be replaced") == 2
    assert (folder / "table.csv").read_bytes() == before


def test_format_that_cannot_be_written_is_refused_first(folder, capsys):
    assert predict(folder, table="none.csv", output="p.sas7bdat") == 2
    assert "can be read and not be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--param", "epoch=3"], "has no parameter 'epoch'. Did you mean 'epochs'?"),
        (["--param", "l2=few"], "'l2' parameter"),
        (["--param", "l2=0", "--param", "l2=1"], "sets 'l2' more than once"),
        (["--param", "missing_label=9"], "missing_label is set by --missing, not by --param"),
        (["--categorical", "sexx"], "has no column 'sexx'"),
        (["--drop", "income_50k"], "'income_50k' is in --tasks and in --drop"),
        (["--weight", "sex"], "must have a weight of at least 0 for every row. 300 cell(s)"),
        (["--group", "hisp_origin"], "must have a group for every row"),
        (["--test-size", ".2", "--test-table", "t.csv"], "not both"),
        (["--test-table", "none.csv"], "No such file"),
        (["--keep-codes"], "--keep-codes is for tables of Stata"),
    ],
)
def test_mistakes_in_options_of_fit(folder, capsys, arguments, message):
    table = make_census()
    table.loc[5, "hisp_origin"] = None
    table.to_csv(folder / "mistakes.csv", index=False)
    assert fit(folder, *arguments, table="mistakes.csv", model="none.sk_mtl") == 2
    assert message in capsys.readouterr().err
    assert not (folder / "none.sk_mtl").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--test-size", "20"], "must be between 0 and 1"),
        (["--param", "epochs"], "must be NAME=VALUE"),
    ],
)
def test_arguments_that_cannot_be_read(folder, capsys, arguments, message):
    with pytest.raises(SystemExit) as ended:
        fit(folder, *arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_folder_of_the_model_is_looked_for_first(folder, capsys):
    model = str(folder / "nowhere" / "m.sk_mtl")
    assert main(["fit", str(folder / "none.csv"), "--model", model, "--tasks", "a", *TINY]) == 2
    assert "there is no folder" in capsys.readouterr().err


def test_file_that_is_no_model_is_named(folder, capsys):
    assert predict(folder, model="table.csv") == 2
    assert "table.csv is no model: This is not a file" in capsys.readouterr().err
