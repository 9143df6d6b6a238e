"""The package as a whole: what it imports, what it makes public, how that is documented."""

import ast
import doctest
import importlib
import inspect
import json
import pickle
import pkgutil
import re
import runpy
import subprocess
import sys
import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest

import sk_mtl

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "sk_mtl").rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PUBLIC_MODULES = [
    "sk_mtl",
    *sorted(
        f"sk_mtl.{path.stem}"
        for path in (ROOT / "sk_mtl").iterdir()
        if path.stem[0] != "_" and (path.suffix == ".py" or (path / "__init__.py").exists())
    ),
]


def iterate_public_objects():
    """Yield (qualified name, object) of the classes and functions in every `__all__`."""
    for module_name in PUBLIC_MODULES:
        module = importlib.import_module(module_name)
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name, None)
            is_error = inspect.isclass(value) and issubclass(value, BaseException)
            if inspect.isfunction(value) or (inspect.isclass(value) and not is_error):
                yield f"{module_name}.{name}", value


def iterate_public_callables():
    """Yield also the public methods that this package defines on those classes."""
    for qualified_name, value in iterate_public_objects():
        yield qualified_name, value
        if inspect.isclass(value):
            for name, member in inspect.getmembers(value, inspect.isfunction):
                if name[0] != "_" and member.__module__.startswith("sk_mtl"):
                    yield f"{qualified_name}.{name}", member


def parametrize(pairs):
    return pytest.mark.parametrize("value", [pytest.param(v, id=n) for n, v in pairs])


@cache
def read_imports(path):
    """Return (imported module, whether at module level) for each import of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, node in tree.body) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno}: a relative import"
            found += [(f"{node.module}.{alias.name}", node in tree.body) for alias in node.names]
    return found


# -- What is installed ---------------------------------------------------------------------------


def test_version_is_the_installed_one():
    try:
        installed = metadata.version("sk_mtl")
    except metadata.PackageNotFoundError:
        pytest.skip("sk_mtl is run from its folder, not installed")
    assert sk_mtl.__version__ == installed


def test_version_has_a_section_in_the_changelog():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

    section = "Unreleased" if ".dev" in sk_mtl.__version__ else sk_mtl.__version__
    assert f"\n## [{section}]" in changelog


def test_citation_has_the_version_and_license_of_the_package():
    path = ROOT / "CITATION.cff"
    if not path.exists():
        pytest.skip("needs the whole repository")
    if ".dev" in sk_mtl.__version__:
        pytest.skip("names the latest release")
    fields = dict(re.findall(r"^([\w-]+): (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE))

    assert fields["version"] == sk_mtl.__version__
    assert fields["license"] == PROJECT["license"]


def test_package_is_marked_as_typed():
    assert (Path(sk_mtl.__file__).parent / "py.typed").exists()


def test_lowest_versions_are_those_of_all_that_the_tests_need():
    path = ROOT / ".ci" / "lowest_versions.py"
    if not path.exists():
        pytest.skip("needs the whole repository")
    extras = PROJECT["optional-dependencies"]
    wanted = [*PROJECT["dependencies"], *extras["test"][1:], *extras["onnx"], *extras["plot"]]
    wanted += extras["tables"]
    assert extras["test"][0] == "sk_mtl[onnx,plot,tables]"

    constraints = runpy.run_path(str(path))["read_constraints"](PROJECT, ["test"])

    assert sorted(constraints) == sorted(line.replace(">=", "==") for line in wanted)


# -- What is imported ----------------------------------------------------------------------------


def test_imports_are_declared_as_dependencies():
    extras = PROJECT["optional-dependencies"]
    lines = [*PROJECT["dependencies"], *extras["onnx"], *extras["plot"], *extras["tables"]]
    declared = {re.match(r"[\w-]+", line)[0] for line in lines}
    declared = {"sklearn" if name == "scikit-learn" else name for name in declared}
    # `Explanation.to_shap` is for those who have shap, and searches on clusters for those who have
    # one; joblib comes with scikit-learn.
    declared |= {"shap", "distributed", "ray", "joblib"}
    undeclared = {
        f"{path.relative_to(ROOT)}: {module}"
        for path in SOURCES
        for module, _ in read_imports(path)
        if module.split(".")[0] not in {*sys.stdlib_module_names, "sk_mtl", *declared}
    }

    assert not undeclared


@pytest.mark.parametrize(
    "optional",
    [
        "distributed",
        "matplotlib",
        "onnx",
        "pyarrow",
        "pyreadstat",
        "ray",
        "scikeras",
        "shap",
        "skl2onnx",
    ],
)
def test_optional_library_is_never_imported_at_module_level(optional):
    offenders = [
        path.name
        for path in SOURCES
        for module, at_top in read_imports(path)
        if module.split(".")[0] == optional
        and at_top
        and path.name != "scikeras.py"
        and path.parent.name != "_onnx"  # of which only `export` is imported before it is needed
    ]

    assert not offenders


@pytest.mark.parametrize(
    ("pattern", "room"),
    [(r"sklearn\.(.*\.)?_\w", "_compat"), (r"scikeras\.", "scikeras.py")],
    ids=["private names of scikit-learn", "scikeras"],
)
def test_library_is_imported_in_its_room_only(pattern, room):
    offenders = [
        f"{path.name}: {module}"
        for path in SOURCES
        for module, _ in read_imports(path)
        if re.match(pattern, f"{module}.") and room not in (path.name, path.parent.name)
    ]

    assert not offenders


def test_modules_do_not_import_from_the_top_of_the_package():
    # The import contract cannot see it: the top is no layer, and imports them all.
    modules = {path.stem for path in SOURCES} | {path.parent.name for path in SOURCES}
    offenders = [
        f"{path.name}: {module}"
        for path in SOURCES
        for module, _ in read_imports(path)
        if module.startswith("sk_mtl.")
        and module.split(".")[1] not in modules
        and path.name != "__main__.py"
    ]

    assert not offenders


def test_import_is_silent_and_leaves_optional_libraries_alone():
    code = (
        "import sys, json, sk_mtl;"
        "print(json.dumps([m for m in ('polars', 'scikeras') if m in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []


# -- What is public, and how it is documented ----------------------------------------------------


@pytest.mark.parametrize("module_name", PUBLIC_MODULES)
def test_public_module_lists_names_that_exist(module_name):
    module = importlib.import_module(module_name)

    assert module.__doc__
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


def test_public_modules_are_in_the_api_reference():
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")

    assert sorted(re.findall(r"^   (sk_mtl[\w.]*)$", page, re.MULTILINE)) == PUBLIC_MODULES


@parametrize(iterate_public_objects())
def test_public_object_shows_an_example(value):
    assert ">>> " in (value.__doc__ or ""), "no Examples section"


def test_every_public_example_is_run():
    # Doctest passes over what says that it is of another module than the one it stands in.
    names = [module.name for module in pkgutil.walk_packages(sk_mtl.__path__, "sk_mtl.")]
    modules = [sk_mtl, *(importlib.import_module(n) for n in names if n != "sk_mtl.__main__")]
    finder = doctest.DocTestFinder()
    run = {test.docstring for module in modules for test in finder.find(module)}
    public = dict(iterate_public_callables())
    for name, value in iterate_public_objects():
        if inspect.isclass(value):
            members = inspect.getmembers(value, inspect.ismethod)
            public |= {f"{name}.{k}": m for k, m in members if m.__module__.startswith("sk_mtl")}

    assert [
        k for k, v in public.items() if ">>> " in (v.__doc__ or "") and v.__doc__ not in run
    ] == []


@pytest.mark.parametrize("module_name", PUBLIC_MODULES)
def test_pickles_name_what_is_public_by_its_public_path(module_name):
    # So that private modules may move.
    module = importlib.import_module(module_name)
    public = [getattr(module, name) for name in module.__all__]
    public = [value for value in public if inspect.isclass(value) or inspect.isfunction(value)]

    assert {value.__name__: value.__module__ for value in public} == {
        value.__name__: module_name for value in public
    }
    for value in public:
        assert pickle.loads(pickle.dumps(value)) is value


@parametrize(iterate_public_callables())
def test_documented_parameters_and_defaults_are_those_of_the_signature(value):
    parameters = {
        name: parameter.default
        for name, parameter in inspect.signature(value).parameters.items()
        if name != "self"
        and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    }
    documented = read_documented_parameters(value)

    assert list(documented) == list(parameters)
    for name, default in parameters.items():
        _, says_default, text = documented[name].partition("default=")
        if says_default:
            assert repr(read_literal(text)) == repr(default), name
        else:
            # None may go unsaid: it stands for "required" where an interface wants it optional.
            assert default in (inspect.Parameter.empty, None), f"{name}: default={default!r}"


def read_literal(text):
    """Return the value of a literal, or the text of anything else."""
    if text == "nan":
        return float(text)
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def read_documented_parameters(value):
    """Return {name: type line} of the Parameters section of a docstring."""
    lines = (inspect.getdoc(value) or "").splitlines()
    if "Parameters" not in lines:
        return {}
    start = lines.index("Parameters") + 2
    documented = {}
    for line, next_line in zip(lines[start:], [*lines[start + 1 :], ""], strict=True):
        if next_line.startswith("---"):
            break
        if line and not line.startswith((" ", "*")):
            names, _, type_line = line.partition(" : ")
            documented |= dict.fromkeys(names.split(", "), type_line)
    return documented


def test_parameter_of_the_worked_example_is_named_in_its_five_files_only():
    guide = (ROOT / "docs" / "CONTRIBUTING.md").read_text(encoding="utf-8")
    example = guide[guide.index("## Example: adding a parameter") :]
    listed = set(re.findall(r"^\| `([\w/]+\.py)` \|", example, re.MULTILINE))
    package = ROOT / "sk_mtl"
    found = {
        path.relative_to(package).as_posix()
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for field in ("arg", "attr", "id", "value")
        if getattr(node, field, None) == "ema_momentum"
    }
    assert found == listed
    assert len(listed) == 5
