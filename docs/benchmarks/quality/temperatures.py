"""How many labels does a temperature per task need?

Networks are fitted with the validation part watched, or for 60 epochs whatever it says. Then a
share of the validation rows is drawn, temperatures are found on these, and the log loss of all
others is compared with that without any. One fit is one line of the results; what is there is not
repeated.

Usage: python docs/benchmarks/quality/temperatures.py RESULTS --folder FOLDER --seeds 0
       python docs/benchmarks/quality/temperatures.py RESULTS --show
"""

from typing import Any

import numpy as np
from _records import Record, add_missing, as_markdown, make_results_parser, read_records
from _tables import as_frame, load_table, take_rows
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from sk_mtl import MultiTaskClassifier
from sk_mtl._fit.temperature_scaling import fit_temperatures

NETWORKS: dict[str, dict[str, Any]] = {
    "early stopping": {},
    "the same, labels smoothed": {"label_smoothing": "auto"},
    "60 epochs": {"early_stopping": False, "epochs": 60},
}
TABLES = {
    "tox21": ("rand0", "rand1", "rand2", "scaffold"),
    "census": ("rand0", "rand1", "rand2"),
    "nhanes": ("rand0", "rand1", "rand2"),
}
SHARES = (0.1, 0.5)
N_DRAWS = 20

Task = tuple[np.ndarray, np.ndarray]


def main() -> None:
    options = make_results_parser(__doc__, [0], can_show=True).parse_args()
    if options.show:
        show(read_records(options.results))
        return
    jobs = (
        {"network": network, "table": table, "split": split, "seed": seed}
        for seed in options.seeds
        for table, splits in TABLES.items()
        for split in splits
        for network in NETWORKS
    )
    add_missing(options.results, jobs, lambda job: compare(options.folder, **job))


def compare(folder: str | None, network: str, table: str, split: str, seed: int) -> Record:
    """Fit a network; return by share how much each kind of temperatures adds to the log loss."""
    data = load_table(table, folder)
    train, valid, _ = data.splits[split]
    X, Y = as_frame(data.X), data.Y.iloc[valid]
    clf = MultiTaskClassifier(**NETWORKS[network], random_state=seed)
    clf.fit(take_rows(X, train), data.Y.iloc[train], validation_data=(take_rows(X, valid), Y))
    log_p = [p.astype(float) for p in clf.predict_log_proba(take_rows(X, valid))]
    known = Y.notna().to_numpy()
    codes = np.zeros(known.shape, dtype=int)
    for t, classes in enumerate(clf.classes_):
        known[:, t] &= Y.iloc[:, t].isin(classes).to_numpy()
        codes[known[:, t], t] = np.searchsorted(
            classes, Y.iloc[:, t].to_numpy()[known[:, t]].astype(classes.dtype)
        )
    rng = np.random.default_rng(0)
    found = {}
    for share in SHARES:
        draws = [_compare_once(log_p, codes, known, rng, share) for _ in range(N_DRAWS)]
        found[str(share)] = {name: float(np.mean([d[name] for d in draws])) for name in draws[0]}
    return found


def _compare_once(
    log_p: list[np.ndarray],
    codes: np.ndarray,
    known: np.ndarray,
    rng: np.random.Generator,
    share: float,
) -> dict[str, float]:
    is_drawn = rng.random(len(codes)) < share
    drawn, others = (
        [(p[k], c[k]) for p, k, c in zip(log_p, (known & rows[:, None]).T, codes.T, strict=True)]
        for rows in (is_drawn, ~is_drawn)
    )
    together = fit_temperatures(
        np.hstack(log_p)[is_drawn], codes[is_drawn], known[is_drawn], [p.shape[1] for p in log_p]
    )
    plain = _log_loss(others, np.ones(len(log_p)))
    return {
        "without": plain,
        "each task alone": _log_loss(others, [_fit([task]) for task in drawn]) - plain,
        "one for all": _log_loss(others, [_fit(drawn)] * len(drawn)) - plain,
        "now": _log_loss(others, together) - plain,
    }


def _fit(tasks: list[Task]) -> float:
    """Return the temperature with the lowest sum of log losses, drawn to 1 by one cell.

    It is 1 where there are fewer than 20 cells, or one class.
    """
    if sum(len(codes) for _, codes in tasks) < 20 or all(len(set(codes)) < 2 for _, codes in tasks):
        return 1.0

    def loss(log_temperature: float) -> float:
        pull = np.exp(-log_temperature) - 1 + log_temperature
        return pull + float(sum(_cells(*task, np.exp(log_temperature)).sum() for task in tasks))

    return float(np.exp(minimize_scalar(loss, bounds=(-5, 5), method="bounded").x))


def _log_loss(tasks: list[Task], temperatures: Any) -> float:
    return float(np.mean([_cells(*x, T).mean() for x, T in zip(tasks, temperatures, strict=True)]))


def _cells(log_p: np.ndarray, codes: np.ndarray, temperature: float) -> np.ndarray:
    z = log_p / temperature
    return logsumexp(z, axis=1) - z[np.arange(len(codes)), codes]


def show(records: list[dict[str, Any]]) -> None:
    """Print means over splits and seeds as a table in Markdown."""
    ways = ["each task alone", "one for all", "now"]
    lines = []
    for network in NETWORKS:
        tables = {
            "tox21, random": "rand",
            "tox21, scaffold": "scaffold",
            "census": "",
            "nhanes": "",
        }
        for title, splits in tables.items():
            name = title.split(",")[0]
            group = [
                r
                for r in records
                if (r["network"], r["table"]) == (network, name) and r["split"].startswith(splits)
            ]
            for share in map(str, SHARES):
                if group:
                    means = {w: np.mean([r[share][w] for r in group]) for w in ("without", *ways)}
                    cells = [f"{means[w]:+.4f}".replace("0.", ".", 1) for w in ways]
                    plain = f"{means['without']:.4f}".lstrip("0")
                    lines.append((network, title, f"{float(share):.0%}", plain, *cells))
    print(as_markdown(("network", "table", "share of the rows", "without", *ways), lines))


if __name__ == "__main__":
    main()
