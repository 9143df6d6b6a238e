"""The speed benchmarks run, by their smoke mode; no time is asserted."""

import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from pkgutil import resolve_name

import keras
import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "benchmarks" / "speed"
PAGE = FOLDER.with_suffix(".md")
SCRIPTS = sorted(path.name for path in FOLDER.glob("[!_]*.py"))

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="docs are not here")


@pytest.fixture
def load(monkeypatch):
    """Return a function that imports a module of the folder, and forgets it after the test."""
    monkeypatch.syspath_prepend(str(FOLDER))
    # What an import of scikeras replaces for good would be in what later tests pickle.
    for cls in (keras.Model, keras.losses.Loss, keras.metrics.Metric, keras.optimizers.Optimizer):
        for name in ("__reduce__", "__deepcopy__"):
            if hasattr(cls, name):
                monkeypatch.setattr(cls, name, getattr(cls, name))
    names = [path.stem for path in FOLDER.glob("*.py")]
    for name in names:
        monkeypatch.delitem(sys.modules, name, raising=False)

    def load_module(name):
        spec = spec_from_file_location(name, FOLDER / f"{name}.py")
        module = module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    yield load_module
    scikeras = [name for name in sys.modules if name.partition(".")[0] == "scikeras"]
    for name in names + scikeras:
        sys.modules.pop(name, None)


def read_tables(text):
    """Return the Markdown tables of a text, each a list of rows of cells."""
    tables, inside = [], False
    for line in text.splitlines():
        if line.startswith("|"):
            if not inside:
                tables.append([])
            tables[-1].append([cell.strip() for cell in line.strip("|").split("|")])
        inside = line.startswith("|")
    return tables


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
@pytest.mark.parametrize("script", SCRIPTS)
def test_script_prints_whole_tables(script, load, capsys):
    load(script.removesuffix(".py")).main(["--quick"])

    tables = read_tables(capsys.readouterr().out)
    assert tables
    for header, _, *rows in tables:
        assert rows[0][0] or rows[0][1]
        assert {len(row) for row in rows} == {len(header)}
        assert any("sk_mtl" in cell for row in rows for cell in row)


@pytest.mark.slow
def test_script_runs_from_any_folder(tmp_path):
    command = [sys.executable, FOLDER / "first_fit.py", "--help"]
    shown = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)

    assert "--repeats" in shown.stdout


@pytest.mark.parametrize("script", SCRIPTS)
def test_page_has_a_table_and_the_command_of_each_script(script, load):
    begin, end = load("_timing").section_marks(script)
    page = PAGE.read_text(encoding="utf-8")
    assert page.count(begin) == page.count(end) == 1

    section = page.partition(begin)[2].partition(end)[0]

    assert f"python docs/benchmarks/speed/{script} --repeats " in section
    assert "--quick" not in section
    assert read_tables(section) or "Not measured yet" in section


def test_report_takes_the_place_of_the_section_on_the_page(load, tmp_path, capsys):
    timing = load("_timing")
    page = tmp_path / "speed.md"
    begin, end = timing.section_marks("epoch.py")
    page.write_text(f"# Title\n\n{begin}\nold\n{end}\n\nlast\n", encoding="utf-8")

    options = timing.parse_options("Doc.", ["--page", str(page)], repeats=3)
    timing.report("epoch.py", options, [(("a", "b"), [("x", "1"), ("x", "2")])])

    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# Title\n\n{begin}\n```sh\n")
    assert text.endswith(f"| a | b |\n|---|---|\n| x | 1 |\n|  | 2 |\n{end}\n\nlast\n")
    assert "old" not in text


def test_report_leaves_the_page_alone_when_the_run_is_quick(load, tmp_path):
    with pytest.raises(SystemExit, match="2"):
        load("_timing").parse_options("Doc.", ["--quick", "--page", "speed.md"], repeats=3)


@pytest.mark.slow
def test_another_version_is_imported_in_a_process_of_its_own(load, tmp_path):
    (tmp_path / "sk_mtl").mkdir()
    (tmp_path / "sk_mtl" / "__init__.py").write_text('__version__ = "0.0.1"\n')
    timing = load("_timing")
    argv = ["--against", str(tmp_path)]

    options = timing.parse_options("Doc.", argv, repeats=3, has_versions=True)
    folder = options.versions["sk_mtl 0.0.1"]
    version = timing.in_fresh_process(resolve_name, "sk_mtl:__version__", folder=folder)

    assert version == "0.0.1"
    assert options.arguments == ["--repeats 3", "--against 0.0.1"]


def test_another_version_must_be_in_the_folder(load, tmp_path):
    argv = ["--against", str(tmp_path)]

    with pytest.raises(SystemExit, match="holds sk_mtl"):
        load("_timing").parse_options("Doc.", argv, repeats=3, has_versions=True)


def test_contenders_take_turns_to_begin(load, monkeypatch):
    timing = load("_timing")
    monkeypatch.setattr(timing, "PAUSE", 0)
    called = []
    contenders = {name: lambda name=name: called.append(name) or len(called) for name in "ab"}

    seconds = timing.measure_in_turn(contenders, timing.parse_options("Doc.", [], repeats=2))

    assert called == ["a", "b", "a", "b", "b", "a"]  # the first two are the warm-up
    assert {name: values.tolist() for name, values in seconds.items()} == {"a": [3, 6], "b": [4, 5]}


def test_ratios_are_those_of_the_same_repeat(load):
    text = load("_timing").times(np.array([1.0, 20.0, 4.0]), np.array([1.0, 10.0, 1.0]))

    assert text == "2.00 (1.00–4.00)"


@pytest.mark.slow
@pytest.mark.parametrize("head", [(), (4,), (4, 3)])
def test_kernels_of_a_work_are_those_of_the_network(head, load):
    networks = load("_networks")
    work = networks.Work(60, 10, (6, 5), 32, head=head)
    X, Y = work.make_table()

    variables = networks.make_classifier(work, 1).fit(X, Y).model_.trainable_variables

    size = sum(int(np.prod(v.shape)) for v in variables if "bias" not in v.name)
    assert sum(n_in * n_out for n_in, n_out in work.kernels) == size


def test_operations_are_those_of_the_products(load):
    work = load("_networks").Work(10, 20, (3,), 4, n_classes=(2, 2), labelled=(1.0, 1.0))

    training = load("_networks").MatrixProducts(work).operations
    prediction = load("_networks").MatrixProducts(work, training=False).operations

    assert training == 10 * 2 * (2 * 20 * 3 + 3 * 3 * 2)
    assert prediction == 10 * 2 * (20 * 3 + 3 * 2)


def test_labels_are_missing_to_the_share_that_is_said(load):
    work = load("_networks").Work(2_000, 10, (4,), 32)

    _, Y = work.make_table()

    np.testing.assert_allclose(Y.notna().mean(), work.labelled, atol=0.03)
    assert Y.nunique().tolist() == list(work.n_classes)


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_peak_memory_counts_what_is_freed_before_the_end(load):
    def allot():
        return np.ones(50_000_000, np.uint8).sum()

    peak, total = load("_timing").peak_memory(allot)

    assert total == 50_000_000
    assert 45e6 < peak < 80e6
