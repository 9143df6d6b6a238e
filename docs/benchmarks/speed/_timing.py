"""What the speed benchmarks share: measuring in turn, fresh processes, peak memory, the report.

Knows nothing of networks or peers; those are in `_networks.py`.
"""

import argparse
import ctypes
import gc
import importlib.metadata
import importlib.util
import multiprocessing
import os
import platform
import re
import sys
import time
import warnings
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

sys.path.insert(0, str(Path(__file__).parents[1]))
from _harness import as_markdown, clock, make_parser

# MLPClassifier warns at the end of every fit that is to take a fixed number of epochs.
warnings.filterwarnings("ignore", message="Stochastic Optimizer: Maximum iterations")

import numpy as np

VERSIONS = ("numpy", "scikit-learn", "tensorflow", "keras", "scikeras", "torch")

# Idle threads of a BLAS or of OpenMP go on spinning for some ten milliseconds; without a pause they
# take a core from whoever is measured next.
PAUSE = 0.3


# ------------------------------------------------------------------------------------------------
# Measuring
# ------------------------------------------------------------------------------------------------


def epoch_seconds(fit: Callable[[int], object], epochs: int) -> float:
    """Seconds of a steady epoch, by the difference of a fit of one epoch and a longer one.

    What a fit costs once (checking, placing arrays, building, reading out) falls out of it.
    """
    return (clock(fit, 1 + epochs) - clock(fit, 1)) / epochs


def measure_in_turn(
    contenders: Mapping[Hashable, Callable[[], float]], options: argparse.Namespace
) -> dict[Hashable, np.ndarray]:
    """Let all contenders measure themselves once per repeat, beginning with another one each time.

    Returns the seconds of every repeat. What the first call of a contender builds and compiles is
    not among them.
    """
    names = list(contenders)
    if not options.quick:
        for name in names:
            contenders[name]()
    # A collection that one contender sets off would walk over the graphs of all the others.
    gc.collect()
    gc.freeze()
    seconds: dict[Hashable, list[float]] = {name: [] for name in names}
    for repeat in range(options.repeats):
        first = repeat % len(names)
        for name in names[first:] + names[:first]:
            gc.collect()
            time.sleep(0 if options.quick else PAUSE)
            seconds[name].append(contenders[name]())
        print(f"repeat {repeat + 1} of {options.repeats}", file=sys.stderr, flush=True)
        for name, values in seconds.items():
            print(f"    {1000 * values[-1]:12.3f} ms  {name}", file=sys.stderr, flush=True)
    gc.unfreeze()
    return {name: np.array(values) for name, values in seconds.items()}


class Interpreter:
    """A new Python process that stays, so that its calls can take turns with those of others.

    Parameters
    ----------
    folder : path-like, optional
        The checkout of another version of sk_mtl, which is imported in place of this one.
    quick : bool, default=False
        Whether to call in this process, unless there is a folder.
    """

    def __init__(self, folder: Path | None = None, *, quick: bool = False):
        self._pool = None
        if folder is not None or not quick:
            # "spawn" inherits no imported library, no thread and no compiled program.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(
                1, mp_context=context, initializer=_import_from, initargs=(folder,)
            )

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return what a function returns there."""
        if self._pool is None:
            return function(*arguments)
        return self._pool.submit(_call_undisturbed, function, *arguments).result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()


def in_fresh_process(
    function: Callable[..., Any],
    *arguments: Any,
    folder: Path | None = None,
    quick: bool = False,
) -> Any:
    """Return what a function returns in a new interpreter; see `Interpreter`."""
    with Interpreter(folder, quick=quick) as interpreter:
        return interpreter.call(function, *arguments)


def open_versions(options: Any, stack: ExitStack) -> dict[str, Interpreter]:
    """Return a process for each version of sk_mtl, open until the stack is left."""
    return {
        name: stack.enter_context(Interpreter(folder, quick=options.quick))
        for name, folder in options.versions.items()
    }


def _import_from(folder: Path | None) -> None:
    if folder is not None:
        assert "sk_mtl" not in sys.modules, "a script imports sk_mtl before it is said which"
        sys.path.insert(0, str(folder))


def _call_undisturbed(function: Callable[..., Any], *arguments: Any) -> Any:
    gc.collect()
    return function(*arguments)


def peak_memory(call: Callable[[], object]) -> tuple[int, object]:
    """Return by how many bytes resident memory rises at most while a call runs, and its result.

    Linux counts the peak itself (VmHWM) and starts it anew on request, so no short peak is missed.
    """
    gc.collect()
    if sys.platform != "linux":
        raise SystemExit("Peak memory is read from /proc, which needs Linux.")
    # Freed memory that the allocator still holds would hide what the call takes out of it.
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before = _status_bytes("VmRSS")
    result = call()
    return _status_bytes("VmHWM") - before, result


def resident_memory() -> int:
    """Return the resident memory of this process in bytes, less what can be given back."""
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
    return _status_bytes("VmRSS")


def _status_bytes(field: str) -> int:
    status = Path("/proc/self/status").read_text()
    match = re.search(rf"^{field}:\s+(\d+) kB", status, re.MULTILINE)
    assert match is not None, field
    return int(match[1]) * 1024


# ------------------------------------------------------------------------------------------------
# Reporting
# ------------------------------------------------------------------------------------------------


def parse_options(
    docstring: str,
    argv: Sequence[str] | None,
    repeats: int,
    *,
    has_versions: bool = False,
    **flags: str,
) -> Any:
    """Read the options that all scripts have, and flags (name=help) of one's own.

    With `has_versions`, ``options.versions`` has a name and a folder for each version of sk_mtl.
    """
    parser = make_parser(docstring)
    parser.add_argument("--repeats", type=int, default=repeats, help="default: %(default)s")
    parser.add_argument(
        "--quick", action="store_true", help="tiny tables, once: see that it runs, measure nothing"
    )
    parser.add_argument("--page", type=Path, help="put the result into its place on this page")
    if has_versions:
        parser.add_argument(
            "--against", type=Path, metavar="FOLDER", help="the checkout of another version"
        )
    for name, text in flags.items():
        parser.add_argument(f"--{name.replace('_', '-')}", action="store_true", help=text)
    options = parser.parse_args(argv)
    if options.quick and options.page is not None:
        parser.error("--quick measures nothing, so there is nothing to put on a page.")
    if options.quick:
        options.repeats = 1
    options.arguments = [
        f"--repeats {options.repeats}",
        *["--quick"] * options.quick,
        *(f"--{name.replace('_', '-')}" for name in flags if getattr(options, name)),
    ]
    options.versions = {"sk_mtl": None}
    if has_versions and options.against is not None:
        version = _read_version(options.against)
        options.versions[f"sk_mtl {version}"] = options.against.resolve()
        options.arguments.append(f"--against {version}")  # a folder is a matter of this machine
    return options


def _read_version(folder: Path) -> str:
    module = folder / "sk_mtl" / "__init__.py"
    if not module.is_file():
        raise SystemExit(f"--against needs a folder that holds sk_mtl. {folder} does not.")
    match = re.search(r'^__version__ = "(.*)"', module.read_text(encoding="utf-8"), re.MULTILINE)
    assert match is not None, module
    return match[1]


def times(numerator: np.ndarray, denominator: np.ndarray) -> str:
    """Median of the ratios of the same repeats, with the lowest and the highest; 1 to itself."""
    if np.array_equal(numerator, denominator):
        return "1"
    ratios = numerator / denominator
    low, middle, high = ratios.min(), np.median(ratios), ratios.max()
    return f"{_short(middle)} ({_short(low)}–{_short(high)})"


def milliseconds(seconds: np.ndarray) -> str:
    """Median in milliseconds."""
    return _short(1000 * float(np.median(seconds)))


def _short(value: float) -> str:
    """Three digits, as many as these measurements are good for."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:#.3g}".rstrip(".")


def report(script: str, options: Any, parts: Sequence[str | tuple[Sequence[str], list]]) -> None:
    """Print a section of the page: machine, command, sentences and tables; or put it there."""
    name = Path(script).name
    lines = [
        f"```sh\npython docs/benchmarks/speed/{name} {' '.join(options.arguments)}\n```",
        describe_machine(),
    ]
    lines += [
        part if isinstance(part, str) else as_markdown(part[0], _leave_out_repeats(part[1]))
        for part in parts
    ]
    section = "\n\n".join(lines)
    print(section)
    if options.page is not None:
        begin, end = section_marks(name)
        page = options.page.read_text(encoding="utf-8")
        before, rest = page.split(begin)
        after = rest.split(end)[1]
        options.page.write_text(f"{before}{begin}\n{section}\n{end}{after}", encoding="utf-8")


def section_marks(name: str) -> tuple[str, str]:
    """The two lines of the page between which the output of a script stands."""
    return f"<!-- {name}: written by the script -->", f"<!-- {name}: end -->"


def _leave_out_repeats(rows: list[Sequence[str]]) -> list[Sequence[str]]:
    """Rows in which a first cell equal to the one above is empty."""
    above = [None, *(row[0] for row in rows)]
    return [
        ("" if row[0] == first else row[0], *row[1:])
        for row, first in zip(rows, above, strict=False)
    ]


def describe_machine() -> str:
    """Processor, cores, and versions of what is measured."""
    found = {name: importlib.metadata.version(name) for name in VERSIONS if _is_installed(name)}
    versions = ", ".join(f"{name} {version}" for name, version in found.items())
    return (
        f"{_processor()}, {n_cores()} cores, Python {platform.python_version()}, {versions}."
        + "".join(f" {name} is not installed." for name in VERSIONS if name not in found)
    )


def n_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def has_torch() -> bool:
    """Whether PyTorch is there; without it, its rows are left out."""
    return importlib.util.find_spec("torch") is not None


def _is_installed(distribution: str) -> bool:
    try:
        importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text() if cpuinfo.exists() else ""
    match = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    name = match[1] if match else platform.processor() or platform.machine()
    return f"{name} (AVX-512)" if " avx512f " in text else name
