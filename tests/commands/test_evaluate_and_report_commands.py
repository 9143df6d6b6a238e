"""``python -m sk_mtl evaluate`` and ``report``: scores as in Python, and the page about them."""

import re
import sys
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from command_tables import FIT, PARAMS, TASKS, fit_in_python, make_census

from sk_mtl import MultiTaskClassifier, save_model
from sk_mtl.__main__ import main
from sk_mtl._commands.figures import Figures
from sk_mtl._commands.scores import score_predictions
from sk_mtl.metrics import multitask_report


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with the table, in which three rows each are a person's, and a model."""
    folder = tmp_path_factory.mktemp("evaluate")
    table = make_census(240).assign(person=np.arange(240) // 3)
    table.to_csv(folder / "people.csv", index=False)
    table.drop(columns="person").to_csv(folder / "table.csv", index=False)
    model = ["--model", str(folder / "m.sk_mtl")]
    assert main(["fit", str(folder / "table.csv"), *model, *FIT]) == 0
    return folder


def evaluate(folder, *arguments, table="table.csv"):
    model = ["--model", str(folder / "m.sk_mtl")]
    return main(["evaluate", str(folder / table), *model, *arguments])


# ------------------------------------------------------------------------------------ evaluate


def test_scores_are_those_of_the_report_in_python(folder, capsys):
    assert evaluate(folder, "--bootstraps", "20", "--output", str(folder / "s.csv")) == 0
    clf, X = fit_in_python(folder / "table.csv")
    Y = pd.read_csv(folder / "table.csv")[TASKS]
    report = multitask_report(
        Y, clf.predict(X), clf.predict_proba(X), n_bootstraps=20, random_state=0
    )
    assert report.to_text(line_width=80) in capsys.readouterr().out
    found = pd.read_csv(folder / "s.csv").set_index(["task", "metric"])
    for column in ("score", "lower", "upper", "constant"):
        for task in (*TASKS, "mean"):
            expected = report.frame.loc[task, ("roc_auc", column)]
            assert found.loc[(task, "roc_auc"), column] == pytest.approx(expected, rel=1e-12)
    assert found.loc[("education", "roc_auc"), "n_labelled"] == 120


def test_scores_without_intervals(folder, capsys):
    assert evaluate(folder, "--bootstraps", "0") == 0
    assert "interval" not in capsys.readouterr().out


def test_whole_groups_are_resampled(folder, capsys):
    options = ["--bootstraps", "20", "--group", "person"]
    assert evaluate(folder, *options, table="people.csv") == 0
    assert "20 resamples of the 80 groups with labels" in " ".join(capsys.readouterr().out.split())


def score(groups, n_bootstraps=200, n=90):
    rng = np.random.default_rng(0)
    one = rng.random(n)
    Y = pd.DataFrame({"a": (one + rng.normal(size=n) / 4 > 0.5).astype(int)})
    return score_predictions(
        Y,
        pd.DataFrame({"a": (one > 0.5).astype(int)}),
        {"a": np.column_stack([1 - one, one])},
        classes={"a": np.array([0, 1])},
        missing_label=None,
        weights=None,
        groups=None if groups is None else pd.Series(groups, name="g"),
        n_bootstraps=n_bootstraps,
        random_state=0,
    )


def test_groups_of_one_row_have_the_intervals_of_rows():
    pd.testing.assert_frame_equal(score(np.arange(90)).frame, score(None).frame)


def test_intervals_of_rows_that_repeat_are_wider_by_group():
    rows = score(np.arange(90)).frame
    groups = score(np.repeat([0, 1, 2], 30)).frame
    metric = "log_loss"
    assert groups.loc["a", (metric, "score")] == rows.loc["a", (metric, "score")]
    one_group = score(np.zeros(90, int)).frame.loc["a", metric]
    assert one_group["lower"] == one_group["upper"] == pytest.approx(one_group["score"])


def test_table_may_lack_a_task(folder, capsys):
    make_census(40).drop(columns="education").to_csv(folder / "lacks.csv", index=False)
    assert evaluate(folder, "--bootstraps", "0", table="lacks.csv") == 0
    out, err = capsys.readouterr()
    assert "Note: The table lacks the task(s) 'education'." in err
    assert "education" not in out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda table: table.drop(columns=TASKS),
            "has no column of the model's tasks: 'income_50k'",
        ),
        (lambda table: table.assign(**dict.fromkeys(TASKS)), "has no label to score on"),
    ],
)
def test_table_without_labels_is_refused(folder, capsys, change, message):
    change(make_census(40)).to_csv(folder / "none.csv", index=False)
    assert evaluate(folder, table="none.csv") == 2
    assert message in capsys.readouterr().err


# -------------------------------------------------------------------------------------- report

EVIL = "<script>alert('1')</script> $a$ & \"b\""
VOID = {"meta", "br", "hr", "img", "link", "input"}


class Page(HTMLParser):
    """Collects elements, and checks that they are closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.data = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.data.append(data)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Return the page of a model with names that are none of HTML, parsed, and its text."""
    folder = tmp_path_factory.mktemp("report")
    table = make_census(120).rename(columns={"income_50k": EVIL, "age": "<b>age"})
    table["education"] = table["education"].replace({"bachelor": "$5 <i>to</i> $6"})
    X = table.drop(columns=["id", EVIL, "never_married", "education"])
    X = X.astype(dict.fromkeys(X.select_dtypes(exclude="number"), "category"))
    clf = MultiTaskClassifier(**PARAMS, random_state=0)
    save_model(clf.fit(X, table[[EVIL, "never_married", "education"]]), folder / "m.sk_mtl")
    table.to_csv(folder / "table.csv", index=False)
    paths = [str(folder / "table.csv"), str(folder / "r.html")]
    options = ["--bootstraps", "10", "--title", "A <title>", "--quiet"]
    assert main(["report", *paths, "--model", str(folder / "m.sk_mtl"), *options]) == 0
    text = (folder / "r.html").read_text(encoding="utf-8")
    return Page(text), text


def test_page_has_its_sections_and_figures(page):
    parsed, _text = page
    anchors = [attrs["id"] for tag, attrs in parsed.elements if tag == "section"]
    assert anchors == [
        "model", "table", "coverage", "scores", "roc", "precision-recall", "calibration",
        "learning", "importance",
    ]  # fmt: skip
    labels = [attrs["aria-label"] for tag, attrs in parsed.elements if tag == "svg"]
    assert f"ROC curve of {EVIL}" in labels
    assert "calibration curve of education" in labels
    assert len(labels) == 1 + 3 * 3 + 1 + 3
    assert "A <title>" in parsed.data


def test_page_has_no_script_and_loads_nothing(page):
    parsed, _ = page
    assert not {tag for tag, _ in parsed.elements} & {"script", "link", "iframe", "b", "i"}
    for _, attrs in parsed.elements:
        assert not [name for name in attrs if name.startswith("on")]
        for name in ("src", "href", "xlink:href"):
            assert attrs.get(name, "#").startswith(("#", "data:image/png"))


def test_page_refers_to_itself_without_doubt(page):
    parsed, text = page
    ids = [attrs["id"] for _, attrs in parsed.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(ids)
    assert {a["xlink:href"][1:] for t, a in parsed.elements if t == "use"} <= set(ids)


def test_figures_take_the_colour_of_the_text(page):
    _, text = page
    assert "currentColor" in text
    assert "#0a0b0c" not in text
    assert "prefers-color-scheme: dark" in text


def test_names_are_no_formulas(page):
    assert any("$5 <i>to</i> $6" in data for data in page[0].data)


def test_drawing_leaves_the_settings_of_matplotlib(page):
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    from sk_mtl.plotting import LabelCoverageDisplay

    before, backend = dict(mpl.rcParams), mpl.get_backend()
    n_open = len(plt.get_fignums())
    Figures().draw(lambda: LabelCoverageDisplay.from_labels(pd.DataFrame({"a": [0, 1]})), "a")
    assert mpl.get_backend() == backend
    assert len(plt.get_fignums()) == n_open
    assert {k: v for k, v in mpl.rcParams.items() if before[k] != v} == {}


@pytest.mark.parametrize(
    ("output", "message"), [("r.pdf", "must end with .html"), ("no/r.html", "there is no folder")]
)
def test_page_that_cannot_be_written_is_refused(folder, capsys, output, message):
    model = ["--model", str(folder / "m.sk_mtl")]
    assert main(["report", str(folder / "none.csv"), str(folder / output), *model]) == 2
    assert message in capsys.readouterr().err


def test_missing_matplotlib_is_named_with_its_extra(folder, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    paths = [str(folder / "table.csv"), str(folder / "r.html")]
    assert main(["report", *paths, "--model", str(folder / "m.sk_mtl")]) == 2
    assert 'pip install "sk_mtl[plot]"' in capsys.readouterr().err
