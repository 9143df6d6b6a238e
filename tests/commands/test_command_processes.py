"""Commands as processes: what they import, and what a stop at any moment leaves."""

import os
import random
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
from command_tables import FIT, TASKS, make_census

from sk_mtl import MultiTaskClassifier
from sk_mtl.__main__ import main
from sk_mtl._codec import files
from sk_mtl._commands import COMMANDS, export

WITHOUT_TENSORFLOW = """
import sys
for name in ("tensorflow", "keras", "scikeras"):
    sys.modules[name] = None
from sk_mtl.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a table, and two models with different predictions."""
    folder = tmp_path_factory.mktemp("processes")
    make_census(120).to_csv(folder / "table.csv", index=False)
    for seed in ("0", "1"):
        model = ["--model", str(folder / f"{seed}.sk_mtl"), "--random-state", seed]
        assert main(["fit", str(folder / "table.csv"), *model, *FIT]) == 0
    return folder


def run(script, *arguments, **options):
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True, **options)


# ------------------------------------------------------------------------------------- imports


@pytest.mark.slow
def test_predictions_and_scores_need_no_tensorflow(folder):
    script = WITHOUT_TENSORFLOW.replace(
        "sys.exit(main(sys.argv[1:]))",
        "table, model = sys.argv[1:3]\n"
        "assert main(['predict', table, table + '.out.csv', '--model', model, '--quiet']) == 0\n"
        "assert main(['evaluate', table, '--model', model, '--bootstraps', '5']) == 0",
    )
    ended = run(script, folder / "table.csv", folder / "0.sk_mtl")
    assert ended.returncode == 0, ended.stderr
    assert "roc_auc" in ended.stdout


@pytest.mark.slow
def test_page_needs_no_tensorflow(folder):
    pytest.importorskip("matplotlib")
    paths = [folder / "table.csv", folder / "r.html", "--model", folder / "0.sk_mtl"]
    ended = run(WITHOUT_TENSORFLOW, "report", *paths, "--bootstraps", "5")
    assert ended.returncode == 0, ended.stderr


@pytest.mark.slow
def test_onnx_needs_no_tensorflow(folder):
    pytest.importorskip("onnx")
    ended = run(WITHOUT_TENSORFLOW, "export", folder / "0.sk_mtl", folder / "m.onnx")
    assert ended.returncode == 0, ended.stderr


@pytest.mark.slow
def test_help_imports_neither_tensorflow_nor_matplotlib():
    script = (
        "import sys, contextlib, io\n"
        "from sk_mtl.__main__ import main\n"
        "for name in sys.argv[1:]:\n"
        "    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n"
        "        main([name, '--help'])\n"
        "print(sorted({'tensorflow', 'keras', 'matplotlib', 'pyreadstat'} & set(sys.modules)))"
    )
    ended = run(script, *COMMANDS)
    assert (ended.stdout, ended.returncode) == ("[]\n", 0), ended.stderr


# ----------------------------------------------------------------------------- interruptions


def test_ctrl_c_is_one_line_and_status_130(folder, capsys, monkeypatch):
    def interrupt(*args, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(MultiTaskClassifier, "fit", interrupt)
    (folder / "old.sk_mtl").write_text("old")
    model = ["--model", str(folder / "old.sk_mtl")]
    assert main(["fit", str(folder / "table.csv"), *model, *FIT]) == 130
    assert capsys.readouterr() == (
        "",
        "Interrupted. Outputs that are not written yet are as they were.\n",
    )
    assert (folder / "old.sk_mtl").read_text() == "old"


@pytest.mark.slow
def test_ctrl_c_during_a_long_fit(folder):
    (folder / "old.sk_mtl").write_text("old")
    arguments = ["--tasks", ",".join(TASKS), "--drop", "id", "--param", "epochs=100000"]
    paths = [folder / "table.csv", "--model", folder / "old.sk_mtl"]
    stopping = ["--param", "early_stopping=False"]
    # Interruptions raise, also where the tests run in the background of a shell.
    script = (
        "import signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from sk_mtl.__main__ import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, "fit", *map(str, paths), *arguments, *stopping],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    seen = b""
    while b"epoch" not in seen:
        seen += os.read(process.stderr.fileno(), 100)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == b""
    assert b"Traceback" not in err
    assert err.endswith(b"Interrupted. Outputs that are not written yet are as they were.\n")
    assert (folder / "old.sk_mtl").read_text() == "old"


@pytest.mark.parametrize("name", ["p.csv", "p.parquet", "p.dta"])
def test_disk_that_is_full_leaves_the_old_output(folder, capsys, monkeypatch, name):
    pytest.importorskip("pyarrow")
    pytest.importorskip("pyreadstat")

    def fail(*args):
        raise OSError(28, "No space left on device", str(folder / name))

    (folder / name).write_text("old")
    before = sorted(folder.iterdir())
    monkeypatch.setattr(files.os, "fsync", fail)
    paths = [str(folder / "table.csv"), str(folder / name)]
    assert main(["predict", *paths, "--model", str(folder / "0.sk_mtl")]) == 2
    assert f"{name}: No space left on device." in capsys.readouterr().err
    assert (folder / name).read_text() == "old"
    assert sorted(folder.iterdir()) == before


def test_folder_that_fails_is_not_left(folder, capsys, monkeypatch):
    class Network:
        def export(self, path, verbose):
            os.makedirs(path)
            raise OSError(28, "No space left on device", path)

    monkeypatch.setattr(MultiTaskClassifier, "to_keras", lambda clf: Network())
    before = sorted(folder.iterdir())
    assert export.main([str(folder / "0.sk_mtl"), str(folder / "served")]) == 2
    assert "No space left" in capsys.readouterr().err
    assert sorted(folder.iterdir()) == before


# Writes predictions of the one model and of the other in turn, until it is killed.
WRITE_ON = """
import itertools, sys
from sk_mtl.__main__ import main
table, output, *models = sys.argv[1:]
for model in itertools.cycle(models):
    assert main(["predict", table, output, "--model", model, "--probabilities", "--quiet"]) == 0
    print("written", flush=True)
"""


@pytest.mark.slow
def test_kill_at_any_moment_leaves_an_output_or_the_other(folder):
    models, output = [folder / "0.sk_mtl", folder / "1.sk_mtl"], folder / "killed.csv"
    whole = []
    for model in models:
        paths = [str(folder / "table.csv"), str(output), "--model", str(model)]
        assert main(["predict", *paths, "--probabilities", "--quiet"]) == 0
        whole.append(output.read_bytes())
    assert whole[0] != whole[1]
    generator, found = random.Random(0), set()
    for _ in range(int(os.environ.get("SK_MTL_KILLS", "10"))):
        arguments = [folder / "table.csv", output, *models]
        with subprocess.Popen(
            [sys.executable, "-c", WRITE_ON, *map(str, arguments)], stdout=subprocess.PIPE
        ) as process:
            process.stdout.readline()
            time.sleep(generator.uniform(0, 0.3))
            process.kill()
        content = output.read_bytes()
        assert content in whole
        found.add(content)
        assert len(pd.read_csv(output)) == 120
    assert len(found) == 2 or "SK_MTL_KILLS" in os.environ
