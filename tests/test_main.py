"""The main job: what it prints, what it saves, and its status."""

import pickle
import re
import sys

import pandas as pd
import pytest

from sk_mtl.__main__ import format_table, main
from sk_mtl._commands import COMMANDS
from sk_mtl.datasets import load_census

TASKS = ["income_50k", "never_married", "education"]


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """Run the job small, once; return its folder, its status and what it printed."""
    folder = tmp_path_factory.mktemp("job") / "made" / "for it"
    printed = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.print", lambda *parts, **_: printed.append(" ".join(parts)))
        status = main(["--rows", "600", "--epochs", "2", "--output", str(folder)])
    return folder, status, "\n".join(printed)


@pytest.mark.slow
def test_job_succeeds(job):
    assert job[1] == 0


@pytest.mark.slow
def test_job_prints_a_row_per_task_with_a_score_per_model(job):
    rows = {line.split()[0]: line.split() for line in job[2].splitlines() if line.strip()}

    for task in TASKS:
        scores = [float(value) for value in rows[task][-6:]]
        assert all(0 <= score <= 1 for score in scores)
    assert rows["education"][3] == "5"


@pytest.mark.slow
def test_job_saves_a_model_that_predicts(job):
    X = load_census().data.head()

    model = pickle.loads((job[0] / "model.pickle").read_bytes())

    assert list(model.predict(X).columns) == TASKS


@pytest.mark.slow
def test_job_saves_pictures_and_says_where(job):
    folder, _, printed = job

    for name in ["model.pickle", "label_coverage.png", "learning_curves.png", "scores.png"]:
        assert (folder / name).stat().st_size > 0
        assert f"Saved {folder / name}" in printed


@pytest.mark.slow
def test_job_says_that_the_reloaded_model_agrees(job):
    assert "labels and probabilities of 120 rows are the same" in job[2]


def test_job_goes_on_without_matplotlib(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)

    status = main(["--rows", "600", "--epochs", "1", "--output", str(tmp_path)])

    assert status == 0
    assert 'pip install "sk_mtl[plot]"' in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["model.pickle"]


def test_job_fails_when_it_cannot_write(tmp_path, capsys):
    (tmp_path / "taken").write_text("a file")

    status = main(["--output", str(tmp_path / "taken")])

    assert status == 1
    assert "Cannot write to" in capsys.readouterr().err


def test_job_ends_quietly_when_it_is_interrupted(tmp_path, capsys, monkeypatch):
    def interrupt(options):
        raise KeyboardInterrupt

    monkeypatch.setattr("sk_mtl.__main__._run", interrupt)

    status = main(["--output", str(tmp_path)])

    assert status == 130
    assert capsys.readouterr().err == "Interrupted.\n"


def test_help_says_that_it_is_a_demonstration_and_names_the_commands(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])

    told = capsys.readouterr().out
    assert "A demonstration:" in told
    for name, what in COMMANDS.items():
        assert re.search(rf"^  {name} +{what}$", told, re.MULTILINE)


def test_unknown_command_is_refused_with_the_nearest(capsys):
    status = main(["evaluat", "table.csv"])

    assert status == 2
    assert capsys.readouterr().err.startswith(
        "Error: There is no command 'evaluat'. Did you mean 'evaluate'? The commands are fit, "
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_a_help(name, capsys):
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])

    assert ended.value.code == 0
    assert f"usage: python -m sk_mtl {name} " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--rows", "10"], "from 300 to 30000"), (["--epochs", "0"], "at least 1")],
)
def test_job_refuses_numbers_out_of_range(arguments, message, capsys):
    with pytest.raises(SystemExit):
        main(arguments)

    assert message in capsys.readouterr().err


def test_table_is_aligned():
    labels = pd.DataFrame({"a": [0, 1, None], "a long name": ["x", "y", "z"]})
    scores = {
        metric: {model: [0.5, 1.0] for model in ("shared", "alone", "constant")}
        for metric in ("accuracy", "roc_auc")
    }

    lines = format_table(labels, scores).splitlines()

    assert len({len(line) for line in lines[1:]}) == 1
    assert lines[2].split()[:4] == ["a", "2", "(67%)", "2"]
