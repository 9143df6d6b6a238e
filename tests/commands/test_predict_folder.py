"""``python -m sk_mtl predict FOLDER``: the file that one table would give, batch by batch."""

import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
from command_tables import FIT, TASKS, make_census

from sk_mtl import MultiTaskClassifier
from sk_mtl.__main__ import main
from sk_mtl._commands import predict as command

pytest.importorskip("pyarrow")

N = 90


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    make_census(120).to_parquet(folder / "table.parquet")
    path = folder / "m.sk_mtl"
    assert main(["fit", str(folder / "table.parquet"), "--model", str(path), *FIT]) == 0
    return path


@pytest.fixture
def table():
    return make_census(N).drop(columns=TASKS)


@pytest.fixture
def folder(tmp_path, table):
    """A folder with the rows of the table in three files, beside a file with all of them."""
    table.to_parquet(tmp_path / "table.parquet")
    folder = tmp_path / "parts"
    folder.mkdir()
    for number, first in enumerate(range(0, N, 30)):
        table[first : first + 30].to_parquet(folder / f"part-{number}.parquet")
    return folder


def predict(table, output, model, *arguments):
    return main(["predict", str(table), str(output), "--model", str(model), *arguments])


def assert_same_as_one_file(folder, model, *arguments):
    one, many = folder.parent / "one.parquet", folder.parent / "many.parquet"
    assert predict(folder.parent / "table.parquet", one, model, "--quiet", *arguments) == 0
    assert predict(folder, many, model, "--quiet", *arguments) == 0
    pd.testing.assert_frame_equal(pd.read_parquet(many), pd.read_parquet(one), check_exact=True)


@pytest.mark.slow_except("65536")
@pytest.mark.parametrize("rows_of_a_batch", [7, 65_536])
def test_folder_gives_the_file_of_one_table(folder, model, monkeypatch, rows_of_a_batch):
    monkeypatch.setattr(command, "_ROWS_OF_A_BATCH", rows_of_a_batch)
    assert_same_as_one_file(folder, model, "--keep", "id,age,id", "--probabilities")


def test_categories_of_pandas_may_differ_by_file(folder, table, model):
    for number, first in enumerate(range(0, N, 30)):
        part = table[first : first + 30].astype({"sex": "category", "class_worker": "category"})
        part.to_parquet(folder / f"part-{number}.parquet")
    assert_same_as_one_file(folder, model)


def test_numbers_with_holes_in_one_file(folder, table, model):
    table.loc[35:40, ["age", "num_emp"]] = None
    table.to_parquet(folder.parent / "table.parquet")
    for number, first in enumerate(range(0, N, 30)):
        part = table[first : first + 30].convert_dtypes()
        part.to_parquet(folder / f"part-{number}.parquet")
    assert_same_as_one_file(folder, model, "--probabilities")


def test_missing_values_are_read_as_from_one_file(folder, table, model):
    assert_same_as_one_file(folder, model, "--missing-values", "Female,1", "--probabilities")


def test_says_what_it_wrote(folder, model, capsys):
    output = folder.parent / "out.parquet"
    assert predict(folder, output, model) == 0
    assert capsys.readouterr().out == f"Wrote {output}: 90 rows\n"
    assert predict(folder, output, model, "--quiet") == 0
    assert capsys.readouterr().out == ""


def test_unknown_categories_of_a_column_are_told_once(folder, table, model, monkeypatch, capsys):
    monkeypatch.setattr(command, "_ROWS_OF_A_BATCH", 10)
    table.loc[31::2, "sex"] = "other"
    for number, first in enumerate(range(0, N, 30)):
        table[first : first + 30].to_parquet(folder / f"part-{number}.parquet")
    assert predict(folder, folder.parent / "out.parquet", model, "--quiet") == 0
    told = capsys.readouterr().err
    assert told.count("Warning:") == told.count("Column 'sex'") == 1
    assert "'other'" in told


def test_unknown_categories_are_told_for_each_column(tmp_path, capsys):
    names = ["code: a", "code: b"]
    rows = pd.DataFrame(dict.fromkeys(names, ["u", "v"] * 20)).assign(y=[0, 1] * 20)
    rows.to_parquet(tmp_path / "table.parquet")
    arguments = ["--tasks", "y", *[a for a in FIT if "=" in a or a in ("--param", "--quiet")]]
    model = tmp_path / "m.sk_mtl"
    assert main(["fit", str(tmp_path / "table.parquet"), "--model", str(model), *arguments]) == 0
    (tmp_path / "parts").mkdir()
    rows.replace({name: {"v": "w"} for name in names}).to_parquet(tmp_path / "parts" / "0.parquet")
    capsys.readouterr()

    assert predict(tmp_path / "parts", tmp_path / "out.parquet", model) == 0

    assert capsys.readouterr().err.count("does not know") == 2


# --------------------------------------------------------------------------------------- errors


def assert_refused(capsys, status, *parts):
    assert status == 2
    told = " ".join(capsys.readouterr().err.split())
    for part in parts:
        assert part in told


def test_output_must_be_parquet(folder, model, capsys):
    status = predict(folder, folder.parent / "out.csv", model)
    assert_refused(capsys, status, "written to a .parquet file. Got 'out.csv'.")


def test_output_must_not_be_in_the_folder(folder, model, capsys):
    status = predict(folder, folder / "out.parquet", model)
    assert_refused(capsys, status, "among the files that are read, or would be next time")
    assert not (folder / "out.parquet").exists()


def test_lacking_columns(folder, table, model, capsys):
    for part in sorted(folder.iterdir()):
        pd.read_parquet(part).rename(columns={"age": "aeg"}).to_parquet(part)
    status = predict(folder, folder.parent / "out.parquet", model)
    assert_refused(capsys, status, "lacks 1 of the 6 columns", "'age'. Did you mean 'aeg'?")


def test_column_that_one_file_lacks(folder, table, model, capsys):
    table[30:60].drop(columns="age").to_parquet(folder / "part-1.parquet")
    status = predict(folder, folder.parent / "out.parquet", model)
    assert_refused(capsys, status, "part-1.parquet lacks 1 column(s) that other files have: 'age'.")


def test_kept_column_that_is_not_there(folder, model, capsys):
    status = predict(folder, folder.parent / "out.parquet", model, "--keep", "key")
    assert_refused(capsys, status, "The table has no column 'key'.")


def test_text_in_a_column_of_numbers_is_refused_with_its_row(folder, table, model, capsys):
    for number, first in enumerate(range(0, N, 30)):
        part = table[first : first + 30].astype({"age": str})
        part.loc[part.index == 40, "age"] = "forty"
        part.to_parquet(folder / f"part-{number}.parquet")
    status = predict(folder, folder.parent / "out.parquet", model)
    assert_refused(capsys, status, "Column 'age' is a number for this model", "'forty' (row 41)")


def test_empty_folder(tmp_path, model, capsys):
    (tmp_path / "empty").mkdir()
    status = predict(tmp_path / "empty", tmp_path / "out.parquet", model)
    assert_refused(capsys, status, "empty must hold Parquet files", "it has none.")


def test_folder_with_other_files(folder, model, capsys):
    (folder / "_SUCCESS").touch()  # Spark writes it
    assert predict(folder, folder.parent / "out.parquet", model, "--quiet") == 0
    (folder / "notes.txt").write_text("about the files")
    status = predict(folder, folder.parent / "out.parquet", model)
    assert_refused(capsys, status, "must hold Parquet files", "notes.txt")


def test_no_rows(folder, table, model, capsys):
    for part in folder.iterdir():
        table[:0].to_parquet(part)
    status = predict(folder, folder.parent / "out.parquet", model)
    assert_refused(capsys, status, "The table has no rows.")
    assert sorted(os.listdir(folder.parent)) == ["parts", "table.parquet"]


# --------------------------------------------------------------------------------------- writing


def test_ctrl_c_leaves_the_old_file_and_no_other(folder, model, monkeypatch):
    output = folder.parent / "out.parquet"
    output.write_text("old")
    calls = []
    original = MultiTaskClassifier.predict

    def interrupt(self, X):
        calls.append(len(X))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(self, X)

    monkeypatch.setattr(command, "_ROWS_OF_A_BATCH", 7)
    monkeypatch.setattr(MultiTaskClassifier, "predict", interrupt)
    assert predict(folder, output, model) == 130
    assert output.read_text() == "old"
    assert sorted(os.listdir(folder.parent)) == ["out.parquet", "parts", "table.parquet"]


ENDLESS = """
import sys
from sk_mtl._commands import predict as command
once = command.iterate_batches
def endless(*arguments):
    while True:
        yield from once(*arguments)
command.iterate_batches = endless
command.main(sys.argv[1:])
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="sends SIGKILL")
def test_killed_process_leaves_the_old_file(folder, model):
    output = folder.parent / "out.parquet"
    output.write_text("old")
    command = [sys.executable, "-c", ENDLESS, folder, output, "--model", model]
    process = subprocess.Popen(list(map(str, command)))
    deadline = time.monotonic() + 60
    while not any(p.stat().st_size for p in folder.parent.glob(".out.parquet*")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert output.read_text() == "old"
    # What is left is hidden: the next call does not read it, and replaces the old file.
    assert predict(folder, output, model, "--quiet") == 0
    assert len(pd.read_parquet(output)) == N
