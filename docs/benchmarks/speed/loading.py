"""What does a fresh process cost that imports the package, or loads an estimator and predicts?

Each row is a new interpreter: wall time from its start to its end, and the peak of its resident
memory, which Linux counts (VmHWM). The estimators and the Keras model are those of prediction.py,
read from disk, and predict one row.

Usage: python docs/benchmarks/speed/loading.py [--repeats 7]
"""

import pickle
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from _networks import Work, labelled_parts, make_mlp
from _timing import measure_in_turn, milliseconds, parse_options, report, times
from prediction import WORK, save_models

IMPORTS = {
    "`import sk_mtl`": "import sk_mtl",
    "`from sk_mtl import MultiTaskClassifier`": "from sk_mtl import MultiTaskClassifier",
    "`from sklearn.neural_network import MLPClassifier`": (
        "from sklearn.neural_network import MLPClassifier"
    ),
    "`import keras`": "import keras",
}

UNPICKLE = """
import pickle
import numpy as np
with open({path!r}, "rb") as file:
    estimators = pickle.load(file)
for estimator in estimators:
    estimator.predict_proba(np.zeros((1, {n_features}), np.float32))
"""
LOAD_KERAS = """
import keras
import numpy as np
model = keras.models.load_model({path!r}, compile=False)
model.predict(np.zeros((1, {n_features}), np.float32), verbose=0)
"""
STATUS = """
import sys
with open("/proc/self/status") as file:
    print(file.read(), "TensorFlow:", "tensorflow" in sys.modules)
"""


class FreshProcess:
    """A program that is run in a new interpreter, time after time."""

    def __init__(self, program: str):
        self.program = program + STATUS
        self.megabytes: list[float] = []
        self.has_tensorflow = False

    def seconds(self) -> float:
        """Run the program, note its memory, and return the seconds that it took."""
        command = [sys.executable, "-c", self.program]
        start = time.perf_counter()
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        seconds = time.perf_counter() - start
        self.megabytes.append(int(done.stdout.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6)
        self.has_tensorflow = done.stdout.endswith("True\n")
        return seconds


def tabulate(title: str, programs: dict[str, str], options: Any) -> tuple[Sequence[str], list]:
    """Run the programs in turn; the first is what the others are compared with."""
    processes = {who: FreshProcess(program) for who, program in programs.items()}
    seconds = measure_in_turn({who: p.seconds for who, p in processes.items()}, options)
    first = next(iter(processes))
    rows = [
        (
            who,
            milliseconds(seconds[who]),
            times(seconds[who], seconds[first]),
            f"{np.median(process.megabytes):,.0f}",
            "yes" if process.has_tensorflow else "no",
        )
        for who, process in processes.items()
    ]
    return (title, "ms", "time ÷ first row's", "peak MB", "loads TensorFlow"), rows


def save_all(folder: Path, work: Work) -> None:
    """Save the estimator, the Keras model, and an MLPClassifier for each task."""
    save_models(folder, work)
    classifier = pickle.loads((folder / "sk_mtl.pickle").read_bytes())
    (folder / "sk_mtl.pickle").write_bytes(pickle.dumps([classifier]))
    parts = labelled_parts(*work.make_table())
    mlps = [make_mlp(work, len(y), 1).fit(x, y) for x, y in parts]
    (folder / "mlp.pickle").write_bytes(pickle.dumps(mlps))


def main(argv: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    options: Any = parse_options(__doc__, argv, repeats=7)
    if sys.platform != "linux":
        raise SystemExit("Peak memory is read from /proc, which needs Linux.")
    work, imports = WORK, IMPORTS
    if options.quick:
        work, imports = replace(work, n_rows=150), dict(list(IMPORTS.items())[:1])
    with TemporaryDirectory() as name:
        folder = Path(name)
        save_all(folder, work)
        predictions = {
            who: program.format(path=str(folder / file), n_features=work.n_features)
            for who, program, file in (
                ("sk_mtl", UNPICKLE, "sk_mtl.pickle"),
                ("MLPClassifier, three of them", UNPICKLE, "mlp.pickle"),
                ("`keras.Model.predict`", LOAD_KERAS, "model.keras"),
            )
        }
        if options.quick:
            del predictions["`keras.Model.predict`"]
        tables = [
            tabulate("a fresh process that reads and predicts one row", predictions, options),
            tabulate("a fresh process that imports", imports, options),
        ]
    report(__file__, options, tables)


if __name__ == "__main__":
    main()
