"""Compare sharing structures with hard sharing, on generated tables with a planted conflict.

Two groups of tasks read the same two families of features, and a binary context tells which. With
conflict, the groups want opposite ones: where one group wants the first family, the other wants the
second. Without, all tasks want the same one. All networks have about as many weights as the narrow
network with hard sharing.
"""

import argparse
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from _harness import as_markdown, make_parser, use_one_thread
from sklearn.metrics import roc_auc_score

N_TRAIN, N_TEST, N_FEATURES = 4_000, 5_000, 20
N_TASKS = 4  # two of each group
N_DIRECTIONS = 3  # of a family
SCALE = 3.0  # of the logits
# By the number of hidden layers of this width: structures, and their numbers of experts, chosen on
# seeds 100 and 101.
WIDTH = 48
STRUCTURES: dict[int, dict[str, dict[str, Any]]] = {
    1: {
        "mmoe": {"n_experts": 4},
        "cgc": {"n_experts": 1, "n_task_experts": 1},
        "cross_stitch": {},
    },
    2: {
        "mmoe": {"n_experts": 2},
        "ple": {"n_experts": 1, "n_task_experts": 1},
        "cross_stitch": {},
    },
}


def make_table(seed: int, has_conflict: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return X, whose last column is the context, and the labels of the tasks."""
    rng = np.random.default_rng(seed)
    n_rows = N_TRAIN + N_TEST
    X = rng.normal(size=(n_rows, N_FEATURES)).astype(np.float32)
    context = rng.random(n_rows) < 0.5
    families = []
    for _ in range(2):
        directions = rng.normal(size=(N_FEATURES, N_DIRECTIONS))
        distances = np.abs(X @ (directions / np.linalg.norm(directions, axis=0)))
        families.append((distances - distances.mean(axis=0)) / distances.std(axis=0))
    Y = np.empty((n_rows, N_TASKS), int)
    for task in range(N_TASKS):
        shares = rng.uniform(0.5, 1.5, size=N_DIRECTIONS)
        is_other = has_conflict and task >= N_TASKS // 2
        wants_first = ~context if is_other else context
        z = np.where(wants_first, families[0] @ shares, families[1] @ shares)
        Y[:, task] = rng.random(n_rows) < 1 / (1 + np.exp(-SCALE * z / z.std()))
    return np.column_stack([X, np.where(context, 1, -1)]).astype(np.float32), Y


def count_weights(hidden: tuple[int, ...], sharing: str, **experts: int) -> int:
    """Return the number of weights of a network."""
    from sk_mtl._model.spec import NetworkSpec
    from sk_mtl._model.variables import list_variables

    spec = NetworkSpec(N_FEATURES + 1, (1,) * N_TASKS, hidden, sharing=sharing, **experts)
    return sum(int(np.prod(v.shape)) for v in list_variables(spec) if v.trainable)


def find_width(depth: int, sharing: str, experts: dict[str, int]) -> int:
    """Return the width with which a structure has about as many weights as hard sharing."""
    wanted = count_weights((WIDTH,) * depth, "hard")
    return min(
        range(1, WIDTH + 1),
        key=lambda n: abs(count_weights((n,) * depth, sharing, **experts) - wanted),
    )


def score(seed: int, has_conflict: bool, hidden: tuple[int, ...], **sharing: Any) -> float:
    """Return the mean AUC over tasks on test rows."""
    from sk_mtl import MultiTaskClassifier

    X, Y = make_table(seed, has_conflict)
    clf = MultiTaskClassifier(
        hidden, numeric_embedding=None, early_stopping=True, random_state=seed, **sharing
    )
    predicted = clf.fit(X[:N_TRAIN], Y[:N_TRAIN]).predict_proba(X[N_TRAIN:])
    pairs = zip(Y[N_TRAIN:].T, predicted, strict=True)
    return float(np.mean([roc_auc_score(y, p[:, 1]) for y, p in pairs]))


def compare(depth: int, seeds: list[int]) -> Iterator[list[str]]:
    """Yield the rows of the table of a depth."""
    for has_conflict in (True, False):
        hard = np.array([score(s, has_conflict, (WIDTH,) * depth) for s in seeds])
        n_weights = count_weights((WIDTH,) * depth, "hard")
        word = "with" if has_conflict else "without"
        yield [word, "hard", str(WIDTH), f"{n_weights:,}", f"{hard.mean():.4f}", "", ""]
        for sharing, experts in STRUCTURES[depth].items():
            width = find_width(depth, sharing, experts)
            hidden, settings = (width,) * depth, {"sharing": sharing, **experts}
            gains = np.array([score(s, has_conflict, hidden, **settings) for s in seeds]) - hard
            numbers = ", ".join(f"{gain:+.3f}" for gain in gains)
            n_weights = count_weights(hidden, **settings)
            yield [
                word,
                sharing + "".join(f", {n}" for n in experts.values()),
                str(width),
                f"{n_weights:,}",
                f"{hard.mean() + gains.mean():.4f}",
                f"{gains.mean():+.4f}",
                numbers,
            ]


def parse_arguments() -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--depths", nargs="+", type=int, default=sorted(STRUCTURES))
    return parser.parse_args()


def main() -> None:
    """Print a table for each number of hidden layers."""
    arguments = parse_arguments()
    use_one_thread()
    header = ["conflict", "sharing, experts", "width", "weights", "AUC", "gain", "by seed"]
    for depth in arguments.depths:
        rows = []
        for row in compare(depth, arguments.seeds):
            rows.append(row)
            print(*row, sep="  ", file=sys.stderr, flush=True)
        print(f"\n{depth} hidden layer(s)\n\n{as_markdown(header, rows)}", flush=True)


if __name__ == "__main__":
    main()
