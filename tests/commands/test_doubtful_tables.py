"""Tests of what the commands tell of labels, shares and cells that may not be meant."""

import numpy as np
import pandas as pd
import pytest
from command_tables import FIT, TASKS, make_census

from sk_mtl import load_model
from sk_mtl.__main__ import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a table, and a model fitted to it."""
    folder = tmp_path_factory.mktemp("doubtful")
    make_census(200).to_csv(folder / "table.csv", index=False)
    assert fit(folder) == 0
    return folder


def fit(folder, *arguments, table="table.csv", model="m.sk_mtl"):
    return main(["fit", str(folder / table), "--model", str(folder / model), *FIT, *arguments])


def evaluate(folder, table, *arguments):
    paths = [str(folder / table), "--model", str(folder / "m.sk_mtl")]
    return main(["evaluate", *paths, "--bootstraps", "0", *arguments])


@pytest.mark.slow
def test_unknown_labels_are_told(folder, capsys):
    table = make_census(60)
    table.loc[:4, "education"] = "not asked"
    table.to_csv(folder / "other.csv", index=False)
    assert evaluate(folder, "other.csv") == 0
    err = capsys.readouterr().err
    assert "Column 'education': 5 cell(s) have 1 label(s) that the model does not know" in err
    assert "--missing-values 'not asked'" in err


def test_table_without_any_label_of_the_model_is_refused(folder, capsys):
    make_census(60).assign(income_50k="unknown").to_csv(folder / "codes.csv", index=False)
    assert evaluate(folder, "codes.csv") == 2
    assert "none of its labels is one of the model" in capsys.readouterr().err


def test_scores_are_printed_in_any_case(folder, capsys):
    assert evaluate(folder, "table.csv", "--quiet") == 0
    assert "income_50k" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop(columns="age"), "lacks 1 of the"),
        (lambda table: table.drop(columns=TASKS), "no column of the model's tasks"),
    ],
)
def test_test_table_is_checked_before_the_fit(folder, change, message, capsys):
    change(make_census(40)).to_csv(folder / "test.csv", index=False)
    arguments = ["--test-table", str(folder / "test.csv")]
    assert fit(folder, *arguments, model="never.sk_mtl") == 2
    assert message in capsys.readouterr().err
    assert not (folder / "never.sk_mtl").exists()


def test_test_table_needs_the_groups(folder, capsys):
    table = make_census(100).assign(person=np.arange(100) // 2)
    table.to_csv(folder / "people.csv", index=False)
    make_census(40).to_csv(folder / "test.csv", index=False)
    arguments = ["--group", "person", "--test-table", str(folder / "test.csv")]
    assert fit(folder, *arguments, table="people.csv", model="never.sk_mtl") == 2
    assert "has no column 'person', which --group names" in capsys.readouterr().err


@pytest.mark.slow_except("0.2")
@pytest.mark.parametrize("share", [0.2, 0.7])
def test_share_of_groups_is_held(folder, share):
    table = make_census(200).assign(person=np.arange(200) // 2)
    table.to_csv(folder / "people.csv", index=False)
    arguments = ["--group", "person", "--test-size", str(share)]
    assert fit(folder, *arguments, table="people.csv", model="share.sk_mtl") == 0
    n_rows = load_model(folder / "share.sk_mtl")._fitted.n_rows
    assert n_rows == pytest.approx(200 * (1 - share), abs=8)


def test_missing_labels_of_text_are_text(folder):
    rng = np.random.default_rng(0)
    table = make_census(100).assign(smoker=rng.choice(["1", "2", "9"], 100))
    table.to_csv(folder / "codes.csv", index=False)
    arguments = ["--tasks", "smoker", "--categorical", "smoker", "--missing", "9"]
    assert fit(folder, *arguments, table="codes.csv", model="smoker.sk_mtl") == 0
    assert load_model(folder / "smoker.sk_mtl").classes_["smoker"].tolist() == ["1", "2"]


@pytest.mark.parametrize("option", ["--missing", "--missing-values"])
def test_words_that_no_cell_holds_are_told(folder, option, capsys):
    arguments = [a for a in FIT if a != "--quiet"]
    paths = [str(folder / "table.csv"), "--model", str(folder / "told.sk_mtl")]
    assert main(["fit", *paths, *arguments, option, "not askd"]) == 0
    assert "'not askd'" in capsys.readouterr().err


@pytest.mark.parametrize("date", ["31.12.2020", "12/31/2020", "2020/12/31", "2020-12-31 10:30"])
def test_dates_of_all_kinds_are_refused(folder, date, capsys):
    make_census(40).assign(day=date).to_csv(folder / "dates.csv", index=False)
    assert fit(folder, table="dates.csv") == 2
    assert "hold dates or times: 'day'" in capsys.readouterr().err


@pytest.mark.slow
def test_blanks_around_names_are_left_out(folder):
    table = make_census(60)
    table.rename(columns={"age": " age "}).to_csv(folder / "blanks.csv", index=False)
    assert fit(folder, table="blanks.csv", model="blanks.sk_mtl") == 0
    assert "age" in load_model(folder / "blanks.sk_mtl").feature_names_in_


@pytest.mark.slow
def test_task_with_a_class_for_every_row_is_told(folder, capsys):
    make_census(80).assign(wage=range(80)).to_csv(folder / "wages.csv", index=False)
    arguments = [a for a in FIT if a != "--quiet"]
    paths = [str(folder / "wages.csv"), "--model", str(folder / "wages.sk_mtl")]
    main(["fit", *paths, *arguments, "--tasks", "income_50k,wage"])
    assert "Task 'wage' has 80 classes in 80 labelled rows" in capsys.readouterr().err


def test_column_is_named_for_one_thing(folder, capsys):
    assert fit(folder, "--group", "sex", "--weight", "sex") == 2
    assert "sex" in capsys.readouterr().err


@pytest.mark.slow
def test_report_on_a_table_that_lacks_a_task(folder):
    pd.read_csv(folder / "table.csv").drop(columns="education").to_csv(
        folder / "lacks.csv", index=False
    )
    paths = [str(folder / "lacks.csv"), str(folder / "lacks.html")]
    model = ["--model", str(folder / "m.sk_mtl"), "--bootstraps", "0", "--quiet"]
    assert main(["report", *paths, *model]) == 0
    page = (folder / "lacks.html").read_text()
    assert "95 %" not in page.partition("Importance of features")[2]
