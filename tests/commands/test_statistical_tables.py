"""Tables of Stata, SPSS and SAS: value labels, kinds of missing, and what is written of them."""

import datetime as dt
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from command_tables import TINY

from sk_mtl import load_model
from sk_mtl.__main__ import main
from sk_mtl._commands.cells import read_column, refuse_times
from sk_mtl._commands.tables import Reading, read_table

pyreadstat = pytest.importorskip("pyreadstat")

SEX = {1: "male", 2: "female"}


@pytest.fixture
def stata(tmp_path):
    """Return a table of Stata with codes of its own in two columns."""
    frame = pd.DataFrame(
        {
            "income": [1.5, "a", 3.0, "b", np.nan],
            "sex": [1, 2, "a", 2, None],
            "text": ["x", "", "y", "a", "x"],
            "whole": np.arange(5, dtype=np.int32),
        }
    ).astype({"income": object, "sex": object})
    labels = {"sex": {**SEX, "a": "refused"}, "income": {"a": "don't know"}}
    codes = {"income": ["a", "b"], "sex": ["a"]}
    path = tmp_path / "t.dta"
    pyreadstat.write_dta(
        frame,
        path,
        variable_value_labels=labels,
        missing_user_values=codes,
        column_labels={"income": "Income in thousands"},
    )
    return path


@pytest.fixture
def spss(tmp_path):
    """Return the same for SPSS, with a value and a range."""
    frame = pd.DataFrame(
        {
            "income": [1.5, 98.0, 3.0, 99.0, np.nan],
            "sex": [1.0, 2.0, 9.0, 2.0, np.nan],
            "text": ["x", "", "y", "NA", "x"],
            "whole": np.arange(5.0),
        }
    )
    path = tmp_path / "t.sav"
    pyreadstat.write_sav(
        frame,
        path,
        variable_value_labels={"sex": {**SEX, 9: "refused"}, "income": {98: "don't know"}},
        missing_ranges={"income": [{"lo": 97, "hi": 99}], "sex": [9], "text": ["NA"]},
        variable_measure={"sex": "nominal"},
    )
    return path


def read(path, tasks=(), **reading):
    return read_table(path, Reading(**reading), tasks=tasks)


# ------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize("source", ["stata", "spss"])
def test_codes_are_missing_and_labels_are_categories(source, request):
    frame = read(request.getfixturevalue(source)).frame
    assert frame["income"].isna().tolist() == [False, True, False, True, True]
    assert frame["sex"].tolist()[:2] == ["male", "female"]
    assert frame["sex"].isna().tolist() == [False, False, True, False, True]
    assert frame["text"].isna().tolist()[:3] == [False, True, False]
    assert frame["whole"].dtype == np.int64


def test_codes_are_told_by_column_with_their_labels(stata, spss):
    assert read(stata).code_notes == {
        "income": "Column 'income': read as missing are 1 of .a (don't know), 1 of .b.",
        "sex": "Column 'sex': read as missing are 1 of .a (refused).",
    }
    assert read(spss).code_notes == {
        "income": "Column 'income': read as missing are 1 of 98 (don't know), 1 of 99.",
        "sex": "Column 'sex': read as missing are 1 of 9 (refused).",
        "text": "Column 'text': read as missing are 1 of NA.",
    }


@pytest.mark.parametrize(("source", "bare"), [("stata", ".b"), ("spss", "99")])
def test_codes_are_kept_apart_on_request(source, bare, request):
    table = read(request.getfixturevalue(source), keep_codes=None)
    assert table.frame["sex"].tolist()[:4] == ["male", "female", "refused", "female"]
    codes = table.frame["income (code)"]
    assert codes[[1, 3]].tolist() == ["don't know", bare]
    assert codes[[0, 2, 4]].isna().all()
    assert table.frame["income"].notna().sum() == 2
    assert "income" not in table.code_notes


def test_codes_of_one_column_are_kept_apart(stata):
    table = read(stata, keep_codes=["sex"])
    assert "refused" in table.frame["sex"].tolist()
    assert "income (code)" not in table.frame
    assert list(table.code_notes) == ["income"]


def test_codes_of_a_task_are_classes_on_request(stata):
    frame = read(stata, tasks=["income"], keep_codes=["income"]).frame
    assert frame["income"].tolist()[:4] == ["1.5", "don't know", "3", ".b"]


def test_stata_knows_no_number_where_a_column_of_integers_is_missing(stata):
    # pyreadstat (1.3.7) reads 0, or what the memory held, beside codes.
    assert read(stata).statistical.stored["sex"].tolist() == [1, 2, "a", 2, None]


def test_column_with_a_value_that_has_no_label_is_one_of_numbers(tmp_path):
    frame = pd.DataFrame({"a": [0.0, 1.0, 2.0]})
    pyreadstat.write_sav(frame, tmp_path / "t.sav", variable_value_labels={"a": {0: "none"}})
    assert read(tmp_path / "t.sav").frame["a"].tolist() == [0, 1, 2]


def test_equal_labels_of_different_values_stay_apart(tmp_path):
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0]})
    labels = {"a": {1: "yes", 2: "yes", 3: "no"}}
    pyreadstat.write_sav(frame, tmp_path / "t.sav", variable_value_labels=labels)
    assert read(tmp_path / "t.sav").frame["a"].tolist() == ["yes (1)", "yes (2)", "no"]


def test_labels_that_look_like_numbers_are_categories(tmp_path):
    frame = pd.DataFrame({"a": np.arange(20.0)})
    labels = {"a": {i: "older" if i == 19 else str(60 + i) for i in range(20)}}
    pyreadstat.write_sav(frame, tmp_path / "t.sav", variable_value_labels=labels)
    assert read_column(read(tmp_path / "t.sav"), "a").dtype == "category"


def test_values_that_mean_missing_are_named_by_value_or_by_label(spss):
    assert read(spss, missing_values=["2"]).frame["sex"].notna().sum() == 1
    assert read(spss, missing_values=["female"]).frame["sex"].notna().sum() == 1
    assert read(spss, tasks=["sex"], missing_labels=[2]).frame["sex"].notna().sum() == 1
    assert read(spss, missing_labels=[2]).frame["sex"].notna().sum() == 3


@pytest.mark.parametrize("ending", ["dta", "sav", "xpt"])
def test_dates_are_known_by_their_format(tmp_path, ending):
    write = getattr(pyreadstat, {"xpt": "write_xport"}.get(ending, f"write_{ending}"))
    write(pd.DataFrame({"seen": [dt.date(2020, 1, 1)], "a": [1.0]}), tmp_path / f"t.{ending}")
    with pytest.raises(ValueError, match="dates or times: 'seen'"):
        refuse_times(read(tmp_path / f"t.{ending}"), ["a", "seen"])


@pytest.mark.parametrize("ending", ["por", "xpt"])
def test_codes_cannot_be_kept_where_the_library_does_not_tell_them(tmp_path, ending):
    write = {"por": pyreadstat.write_por, "xpt": pyreadstat.write_xport}[ending]
    write(pd.DataFrame({"A": [1.0, 2.0]}), tmp_path / f"t.{ending}")
    assert read(tmp_path / f"t.{ending}").frame["A"].tolist() == [1, 2]
    with pytest.raises(ValueError, match="kinds of missing can be told apart"):
        read(tmp_path / f"t.{ending}", keep_codes=None)


def test_codes_of_sas_are_read(tmp_path, monkeypatch):
    # No library writes this format; it reads codes as letters among the numbers.
    stored = pd.DataFrame({"a": pd.Series([1.0, "A", "_", None], dtype=object)})
    meta = SimpleNamespace(
        missing_ranges={},
        missing_user_values={"a": ["A", "_"]},
        original_variable_types={"a": "BEST"},
        readstat_variable_types={"a": "double"},
        variable_value_labels={},
    )
    monkeypatch.setattr(pyreadstat, "read_sas7bdat", lambda *args, **options: (stored, meta))
    path = tmp_path / "t.sas7bdat"
    path.touch()
    assert read(path).code_notes == {"a": "Column 'a': read as missing are 1 of .A, 1 of ._."}
    kept = read(path, keep_codes=None).frame
    assert kept["a (code)"].tolist()[1:3] == [".A", "._"]
    assert kept["a"].notna().tolist() == [True, False, False, False]


# ------------------------------------------------------------------------------------- writing


def make_survey(codes):
    """Return a survey with holes in its tasks; `codes` are those of (refused, don't know)."""
    rng = np.random.default_rng(0)
    n, (refused, unknown) = 90, codes
    x = rng.normal(size=n).round(2).astype(object)
    answer = np.where(x.astype(float) > 0, 1, 2).astype(object)
    x[::9], x[1::9], x[2::9] = refused, unknown, np.nan
    answer[::4], answer[1::4] = refused, None
    grade = (1 + np.arange(n) % 3).astype(object)
    grade[::5] = None
    text = rng.choice(["u", "v", ""], n)
    return pd.DataFrame({"x": x, "text": text, "answer": answer, "grade": grade})


def write_survey(path):
    labels = {"answer": {1: "yes", 2: "no"}}
    common = {"column_labels": {"answer": "Do you agree?"}, "file_label": "A survey"}
    if path.suffix == ".dta":
        labels["answer"] |= {"a": "refused", "z": "of no cell"}
        pyreadstat.write_dta(
            make_survey(("a", "b")),
            path,
            variable_value_labels=labels,
            missing_user_values={"x": ["a", "b"], "answer": ["a", "z"]},
            **common,
        )
        return lambda path: pyreadstat.read_dta(path, user_missing=True)
    labels["answer"][-8] = "refused"
    pyreadstat.write_sav(
        make_survey((-8.0, -9.0)).astype({"x": float, "answer": float, "grade": float}),
        path,
        variable_value_labels=labels,
        missing_ranges={"x": [{"lo": -9, "hi": -8}], "answer": [-8]},
        variable_measure={"answer": "nominal"},
        **common,
    )
    return lambda path: pyreadstat.read_sav(path, user_missing=True)


def complete(folder, ending, *arguments, output=None):
    paths = [folder / f"survey.{ending}", folder / (output or f"filled.{ending}")]
    words = ["--tasks", "answer,grade", "--quiet", *TINY, *arguments]
    return main(["complete", *map(str, paths), *words])


@pytest.mark.parametrize("ending", ["dta", "sav", "zsav"])
def test_complete_fills_holes_and_leaves_the_rest_as_it_was(tmp_path, ending):
    again = write_survey(tmp_path / f"survey.{ending}")
    assert complete(tmp_path, ending) == 0
    (before, meta), (after, new) = (again(tmp_path / f"{n}.{ending}") for n in ("survey", "filled"))
    pd.testing.assert_frame_equal(after[["x", "text"]], before[["x", "text"]])
    for task in ("answer", "grade"):
        known = pd.to_numeric(before[task], errors="coerce").isin([1, 2, 3])
        assert after[task][known].tolist() == before[task][known].tolist()
        assert set(after[task]) <= {1, 2, 3}
    for name in (
        "variable_value_labels",
        "missing_ranges",
        "column_names_to_labels",
        "original_variable_types",
        "variable_measure",
        "file_label",
    ):
        assert getattr(new, name) == getattr(meta, name), name
    assert new.missing_user_values.get("x") == meta.missing_user_values.get("x")


@pytest.mark.slow_except("sav")
@pytest.mark.parametrize("ending", ["dta", "sav"])
def test_codes_that_are_kept_are_labels_and_stay(tmp_path, ending):
    again = write_survey(tmp_path / f"survey.{ending}")
    assert complete(tmp_path, ending, "--keep-codes") == 0
    before, after = (again(tmp_path / f"{n}.{ending}")[0] for n in ("survey", "filled"))
    refused = before["answer"].isin(["a", -8])
    assert refused.any()
    assert after["answer"][refused].isin(["a", -8]).all()


def test_other_formats_get_labels_as_text(tmp_path):
    write_survey(tmp_path / "survey.sav")
    assert complete(tmp_path, "sav", output="filled.csv") == 0
    found = pd.read_csv(tmp_path / "filled.csv")
    assert set(found["answer"]) == {"yes", "no"}
    assert found.columns.tolist()[0] == "x"


@pytest.mark.slow
def test_model_knows_the_codes_that_it_was_fitted_with(tmp_path):
    write_survey(tmp_path / "survey.dta")
    model = ["--model", str(tmp_path / "m.sk_mtl")]
    table = str(tmp_path / "survey.dta")
    assert (
        main(["fit", table, *model, "--tasks", "answer,grade", "--keep-codes", *TINY, "--quiet"])
        == 0
    )
    clf = load_model(tmp_path / "m.sk_mtl")
    assert clf.feature_names_in_.tolist() == ["x", "x (code)", "text"]
    assert clf.classes_["answer"].tolist() == ["no", "refused", "yes"]
    assert main(["predict", table, str(tmp_path / "p.csv"), *model, "--quiet"]) == 0
    assert main(["evaluate", table, *model, "--quiet", "--bootstraps", "0"]) == 0


def test_codes_are_told_on_stderr(tmp_path, capsys):
    write_survey(tmp_path / "survey.dta")
    arguments = ["--model", str(tmp_path / "m"), "--tasks", "grade", "--drop", "answer", *TINY]
    assert main(["fit", str(tmp_path / "survey.dta"), *arguments]) == 0
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Note")]
    assert told == ["Note: Column 'x': read as missing are 10 of .a, 10 of .b."]
