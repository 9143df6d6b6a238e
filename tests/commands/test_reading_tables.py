"""How the commands read tables: lines, cells and columns that are not what they should be."""

import numpy as np
import pandas as pd
import pytest

from sk_mtl._commands.cells import read_column, refuse_times, suspect_columns
from sk_mtl._commands.tables import Reading, read_table


@pytest.fixture
def write(tmp_path):
    """Return a function that writes text to a file, and returns its path."""

    def write(text, name="table.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(text.encode(encoding))
        return path

    return write


def refuse(path, message, **reading):
    with pytest.raises(ValueError, match=message):
        read_table(path, Reading(**reading))


# --------------------------------------------------------------------------------------- lines


def test_lines_that_cannot_be_parsed_are_listed(write):
    path = write('a,b\n1,2\n3,4,5\n6\n7,"8\n9,10\n')
    refuse(
        path,
        r"has 3 line\(s\) that cannot be parsed: line 3 \(3 field\(s\) in place of 2\); line 4 "
        r"\(1 field\(s\) in place of 2\); line 5 \(a quote that is not closed\)\. .*"
        "--skip-bad-lines",
    )


def test_lines_that_cannot_be_parsed_are_left_out_on_request(write):
    table = read_table(write('a,b\n1,2\n3,4,5\n7,"8\n9,10\n'), Reading(skip_bad_lines=True))
    assert table.frame.to_numpy().tolist() == [[1, 2], [9, 10]]
    assert [table.place(0), table.place(1)] == ["line 2", "line 5"]
    assert table.notes[0].startswith("2 line(s) of table.csv are left out: line 3 (3 field(s)")


def test_first_ten_bad_lines_are_listed_and_all_counted(write):
    path = write("a,b\n" + "1,2,3\n" * 25)
    refuse(path, r"has 25 line\(s\).*lines 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 \(.*\) and 15 more")


def test_a_quote_within_a_quoted_field_is_told(write):
    refuse(write('a,b\n1,"5" disk"\n'), r"line 2 \(a quote within a quoted field\)")


def test_cells_of_several_lines_are_read_and_count_their_lines(write):
    table = read_table(write('a,b\n"x\ny",1\n\nz,oops\n'), Reading())
    assert table.frame["a"].tolist() == ["x\ny", "z"]
    assert table.place(1) == "line 5"


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_line_ends_of_all_systems_are_read(write, line_end):
    table = read_table(write(line_end.join(["a,b", "1,2", "3,4", ""])), Reading())
    assert table.frame.to_numpy().tolist() == [[1, 2], [3, 4]]
    assert table.place(1) == "line 3"


def test_mark_of_excel_belongs_to_no_name(write):
    assert read_table(write("\ufeffa,b\n1,2\n"), Reading()).frame.columns.tolist() == ["a", "b"]


@pytest.mark.parametrize("text", ["", "\n\n", '"a,b\n'])
def test_file_without_a_first_line_is_refused(write, text):
    refuse(write(text), "is empty, or its first line cannot be read")


def test_names_that_occur_twice_are_refused(write):
    refuse(write("a,b,a\n1,2,3\n"), r"names 1 column\(s\) more than once: 'a'")


def test_column_without_a_name_is_told(write):
    table = read_table(write(",a\n0,1\n1,2\n"), Reading())
    assert table.frame.columns.tolist() == ["Unnamed: 0", "a"]
    assert table.notes == [
        "Column 1 of table.csv has no name, and is called 'Unnamed: 0'. If it numbers the rows, "
        "add --drop 'Unnamed: 0'."
    ]


def test_other_separator_is_suggested_and_read(write):
    path = write("a;b\n1,5;2\n")
    refuse(path, "If ';' separates columns, add --delimiter ';'")
    table = read_table(path, Reading(delimiter=";", decimal=","))
    assert table.frame.to_numpy().tolist() == [[1.5, 2.0]]


def test_other_encoding_is_suggested_and_read(write):
    path = write("a,b\n1,x\n2,Privé\n", encoding="cp1252")
    refuse(path, "is not utf-8: line 3 has the byte 0xe9. .* --encoding cp1252")
    assert read_table(path, Reading(encoding="cp1252")).frame["b"][1] == "Privé"
    refuse(path, "There is no encoding 'latin99'", encoding="latin99")


def test_floats_have_the_bits_that_pandas_reads(write):
    numbers = np.random.default_rng(0).normal(size=50) * 10.0 ** np.arange(-25, 25)
    path = write("a\n" + "\n".join(map(repr, numbers.tolist())) + "\n")
    np.testing.assert_array_equal(read_table(path, Reading()).frame["a"], pd.read_csv(path)["a"])


@pytest.mark.parametrize("name", ["t.parquet", "t.feather", "t.dta", "t.sav"])
def test_damaged_file_is_told(write, name):
    pytest.importorskip("pyarrow")
    pytest.importorskip("pyreadstat")
    refuse(write("hello", name), f"{name} cannot be read as a ")


@pytest.mark.parametrize(
    ("name", "library"),
    [("t.parquet", "pyarrow"), ("t.dta", "pyreadstat"), ("t.xpt", "pyreadstat")],
)
def test_library_that_is_not_there_is_named_with_its_extra(write, monkeypatch, name, library):
    monkeypatch.setitem(__import__("sys").modules, library, None)
    with pytest.raises(ImportError, match=rf'need {library}, .* pip install "sk_mtl\[tables\]"'):
        read_table(write("", name), Reading())


# --------------------------------------------------------------------------------------- cells

ODD = "age,b\n" + "".join(f"{i},{i}\n" for i in range(38)) + "unknown,1\n?,2\n"


def test_numbers_with_something_else_among_them_are_refused(write):
    table = read_table(write(ODD), Reading())
    with pytest.raises(ValueError, match="Column 'age'") as told:
        read_column(table, "age")
    assert str(told.value) == (
        "Column 'age' has numbers in 38 of its 40 non-empty cells, and something else in 2: "
        "'unknown' (line 40), '?' (line 41). If these mean missing, add --missing-values "
        "'unknown,?'; if all values are categories, --categorical age; to leave the column out, "
        "--drop age."
    )


def test_ways_out_lead_out(write):
    path = write(ODD)
    table = read_table(path, Reading(missing_values=["unknown", "?"]))
    assert read_column(table, "age").tolist()[:38] == list(range(38))
    assert read_column(table, "age").isna().sum() == 2
    column = read_column(read_table(path, Reading()), "age", is_categorical=True)
    assert column.dtype == "category"
    assert "?" in column.cat.categories


def test_column_of_labels_is_not_advised_to_be_dropped(write):
    with pytest.raises(ValueError, match=r"--categorical age\.$"):
        read_column(read_table(write(ODD), Reading()), "age", is_label=True)


def test_column_that_is_mostly_text_is_one_of_categories(write):
    text = "a\n" + "".join(f"{i if i % 2 else 'x'}\n" for i in range(20))
    assert read_column(read_table(write(text), Reading()), "a").dtype == "category"


def test_decimal_commas_are_told(write):
    path = write("a;b\n1,5;x\n2,5;y\n3;z\n")
    table = read_table(path, Reading(delimiter=";"))
    with pytest.raises(ValueError, match=r"such as '1,5' \(line 2\).* add --decimal ','"):
        read_column(table, "a")


def test_number_of_a_model_is_refused_as_text(write):
    table = read_table(write("a\n1\nx\n \n"), Reading())
    with pytest.raises(ValueError, match="Column 'a'") as told:
        read_column(table, "a", "number")
    assert str(told.value) == (
        "Column 'a' is a number for this model, and 1 of its 2 non-empty cells are none: 'x' "
        "(line 3). If such cells mean missing, add --missing-values x; otherwise correct them in "
        "the table."
    )


def test_columns_of_a_model_are_read_as_it_knows_them(write):
    path = write("n,t,c\n1,1,1\n,2,x\n")
    table = read_table(path, Reading(), kinds={"n": "number", "t": "text", "c": "values"})
    assert read_column(table, "n", "number").isna().tolist() == [False, True]
    assert read_column(table, "t", "text").tolist() == ["1", "2"]
    assert read_column(table, "c", "values").tolist() == [1, "x"]


def test_missing_values_are_read_in_all_formats_alike(write, tmp_path):
    pytest.importorskip("pyarrow")
    table = pd.DataFrame({"n": [1, -9, 3], "t": ["x", "DK", "y"], "m": ["1", "DK", "3"]})
    table.to_csv(tmp_path / "t.csv", index=False)
    table.to_parquet(tmp_path / "t.parquet")
    reading = Reading(missing_values=["-9", "DK"])
    first, second = (read_table(tmp_path / f"t.{e}", reading).frame for e in ("csv", "parquet"))
    pd.testing.assert_frame_equal(first, second, check_dtype=False)
    assert first["n"].tolist()[::2] == [1, 3]
    assert first["m"].tolist()[::2] == [1, 3]


def test_named_index_of_parquet_is_a_column(tmp_path):
    pytest.importorskip("pyarrow")
    pd.DataFrame({"a": [1]}, index=pd.Index([7], name="id")).to_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet", Reading()).frame.columns.tolist() == ["id", "a"]


# --------------------------------------------------------------------------------------- times


def test_dates_are_refused_with_the_option_that_drops_them(tmp_path):
    pytest.importorskip("pyarrow")
    days = pd.date_range("2020-01-01", periods=3)
    table = pd.DataFrame({"a": [1, 2, 3], "seen": days})
    for name in ("t.csv", "t.parquet"):
        path = tmp_path / name
        table.to_csv(path, index=False) if name == "t.csv" else table.to_parquet(path)
        with pytest.raises(ValueError, match=r"hold dates or times: 'seen'\. .* --drop seen\."):
            refuse_times(read_table(path, Reading()), ["a", "seen"])


def test_dates_may_be_categories(write):
    refuse_times(read_table(write("d\n2020-01-01\n"), Reading()), ["d"], {"d"})


def test_columns_that_name_or_number_the_rows_are_told():
    X = pd.DataFrame({"name": [f"n{i}" for i in range(60)], "id": range(60), "b": [0, 1] * 30})
    told = suspect_columns(X.astype({"name": "category"}))
    assert len(told) == 2
    assert "--drop name" in told[0]
    assert "--drop id" in told[1]
