"""What others would use, at its defaults: a model per task, stopped by the validation rows.

Trees that can stop early may grow 2,000 of them. XGBoost has a model of all tasks as well, whose
leaves are vectors; it refuses missing labels, which are therefore masked in an objective of ours.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from _tables import as_frame, prepare, scale, take_rows

__all__ = ["PEERS", "fit_peer"]

_MAX_TREES = 2000
_PATIENCE = 50

Predict = Callable[[np.ndarray], list[np.ndarray]]


class Part(NamedTuple):
    """Rows with a label of a task: features, and classes by their position."""

    X: Any
    y: np.ndarray


def fit_peer(
    name: str,
    table: Any,
    train: np.ndarray,
    valid: np.ndarray,
    classes: Sequence[np.ndarray],
    seed: int,
) -> Predict:
    """Fit a peer to the training rows; return the function that predicts rows of the table."""
    if name == "XGBoost, one model":
        return _fit_vector_leaves(table, train, valid, classes, seed)
    features, fit = PEERS[name]
    X = _features(table, train, features)
    models = []
    for (_, y), known in zip(table.Y.items(), classes, strict=True):
        parts = [_labelled(X, y, known, rows) for rows in (train, valid)]
        models.append(fit(parts[0], parts[1], len(known), seed))
    return lambda rows: [model(take_rows(X, rows)) for model in models]


def _features(table: Any, train: np.ndarray, kind: str) -> Any:
    if kind == "numbers":
        return scale(prepare(table.X, train), train, "numbers")
    X = as_frame(table.X)
    if kind == "complete" and isinstance(X, pd.DataFrame):  # networks that take no missing numbers
        numbers = X.select_dtypes("number").columns
        holes = X[numbers].isna().iloc[train].any()
        X = X.assign(**{f"{c} is missing": X[c].isna().astype(float) for c in numbers[holes]})
        X[numbers] = X[numbers].astype(float).fillna(X[numbers].iloc[train].mean())
        X[numbers] = X[numbers].fillna(0.0)  # a column without any value
    return X


def _labelled(X: Any, y: pd.Series, known: np.ndarray, rows: np.ndarray) -> Part:
    of_rows = y.iloc[rows]
    is_known = of_rows.isin(known).to_numpy()
    codes = np.searchsorted(known, of_rows[is_known].to_numpy(dtype=known.dtype))
    return Part(take_rows(X, rows[is_known]), codes)


def _fit_logistic(train: Part, valid: Part, n_classes: int, seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=1000).fit(*train).predict_proba


def _fit_forest(train: Part, valid: Part, n_classes: int, seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(500, random_state=seed, n_jobs=1).fit(*train).predict_proba


def _fit_lightgbm(train: Part, valid: Part, n_classes: int, seed: int) -> Any:
    import lightgbm

    model = lightgbm.LGBMClassifier(
        n_estimators=_MAX_TREES, random_state=seed, n_jobs=1, verbose=-1
    )
    stop = lightgbm.early_stopping(_PATIENCE, verbose=False)
    return model.fit(*train, eval_set=[tuple(valid)], callbacks=[stop]).predict_proba


def _fit_catboost(train: Part, valid: Part, n_classes: int, seed: int) -> Any:
    import catboost

    def as_text(X: Any) -> Any:
        """Return categories as text, as CatBoost takes no missing ones."""
        if not isinstance(X, pd.DataFrame):
            return X
        return X.assign(**{c: X[c].astype(object).fillna("missing").astype(str) for c in names(X)})

    def names(X: Any) -> list[Any]:
        return list(X.select_dtypes("category")) if isinstance(X, pd.DataFrame) else []

    model = catboost.CatBoostClassifier(
        loss_function="Logloss" if n_classes == 2 else "MultiClass",
        random_seed=seed,
        thread_count=1,
        verbose=False,
        allow_writing_files=False,
        early_stopping_rounds=_PATIENCE,
        cat_features=names(train.X),
    )
    model.fit(as_text(train.X), train.y, eval_set=(as_text(valid.X), valid.y))
    return lambda X: model.predict_proba(as_text(X))


def _fit_xgboost(train: Part, valid: Part, n_classes: int, seed: int) -> Any:
    import xgboost

    model = xgboost.XGBClassifier(
        n_estimators=_MAX_TREES,
        early_stopping_rounds=_PATIENCE,
        enable_categorical=True,
        random_state=seed,
        n_jobs=1,
    )
    return model.fit(*train, eval_set=[tuple(valid)], verbose=False).predict_proba


def _fit_realmlp(train: Part, valid: Part, n_classes: int, seed: int) -> Any:
    from pytabkit import RealMLP_TD_Classifier

    model = RealMLP_TD_Classifier(random_state=seed, device="cpu", n_threads=1)
    return model.fit(*train, *valid).predict_proba


def _fit_tabm(train: Part, valid: Part, n_classes: int, seed: int) -> Any:
    from pytabkit import TabM_D_Classifier

    model = TabM_D_Classifier(random_state=seed, device="cpu", n_threads=1)
    return model.fit(*train, *valid).predict_proba


# Features that a peer takes: "numbers" as by `_tables.scale`, "frame" as they are, "complete"
# without missing numbers; and how one model is fitted.
PEERS: dict[str, tuple[str, Callable[[Part, Part, int, int], Any]]] = {
    "LightGBM": ("frame", _fit_lightgbm),
    "CatBoost": ("frame", _fit_catboost),
    "XGBoost": ("frame", _fit_xgboost),
    "random forest": ("numbers", _fit_forest),
    "logistic regression": ("numbers", _fit_logistic),
    "RealMLP-TD": ("complete", _fit_realmlp),
    "TabM-D": ("complete", _fit_tabm),
}


def _fit_vector_leaves(
    table: Any, train: np.ndarray, valid: np.ndarray, classes: Sequence[np.ndarray], seed: int
) -> Predict:
    """Fit trees whose leaves are the logits of all tasks; a missing label has no gradient."""
    import xgboost

    sizes = [1 if len(known) == 2 else len(known) for known in classes]
    blocks = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
    X = prepare(table.X, train)  # these trees take no categories (XGBoost 3.2)
    targets = np.full((len(table.Y), sum(sizes)), np.nan)
    for (_, y), known, block in zip(table.Y.items(), classes, blocks, strict=True):
        is_known = y.isin(known).to_numpy()
        codes = np.searchsorted(known, y[is_known].to_numpy(dtype=known.dtype))
        if len(block) == 1:
            targets[is_known, block[0]] = codes
        else:
            targets[np.ix_(is_known, block)] = np.eye(len(known))[codes]

    def activate(logits: np.ndarray) -> np.ndarray:
        probabilities = np.empty_like(logits)
        for block in blocks:
            z = logits[:, block]
            if len(block) == 1:
                probabilities[:, block] = 1 / (1 + np.exp(-z))
            else:
                powers = np.exp(z - z.max(axis=1, keepdims=True))
                probabilities[:, block] = powers / powers.sum(axis=1, keepdims=True)
        return probabilities

    def matrix(rows: np.ndarray) -> Any:
        # The labels of XGBoost are placeholders: it refuses NaN.
        labels = np.zeros((len(rows), targets.shape[1]))
        return xgboost.DMatrix(take_rows(X, rows), label=labels)

    def objective(logits: np.ndarray, data: Any) -> tuple[np.ndarray, np.ndarray]:
        truth, p = targets[train], activate(logits.reshape(len(train), -1))
        is_known = ~np.isnan(truth)
        gradient = np.where(is_known, p - np.nan_to_num(truth), 0.0)
        return gradient, np.where(is_known, np.maximum(p * (1 - p), 1e-6), 0.0)

    def loss(logits: np.ndarray, data: Any) -> tuple[str, float]:
        truth, p = targets[valid], np.clip(activate(logits.reshape(len(valid), -1)), 1e-7, 1)
        losses = []
        for block in blocks:
            known = ~np.isnan(truth[:, block[0]])
            t, q = truth[known][:, block], p[known][:, block]
            cells = -(t * np.log(q)).sum(axis=1)
            if len(block) == 1:
                cells = cells - ((1 - t) * np.log(np.clip(1 - q, 1e-7, 1))).sum(axis=1)
            losses.append(cells.mean() if len(cells) else np.nan)
        return "log_loss", float(np.nanmean(losses))

    booster = xgboost.train(
        {
            "multi_strategy": "multi_output_tree",
            "tree_method": "hist",
            "num_target": targets.shape[1],
            "base_score": 0.0,
            "disable_default_eval_metric": True,
            "seed": seed,
            "nthread": 1,
        },
        matrix(train),
        num_boost_round=_MAX_TREES,
        obj=objective,
        custom_metric=loss,
        evals=[(matrix(valid), "valid")],
        early_stopping_rounds=_PATIENCE,
        verbose_eval=False,
    )

    def predict(rows: np.ndarray) -> list[np.ndarray]:
        logits = booster.predict(
            matrix(rows), output_margin=True, iteration_range=(0, booster.best_iteration + 1)
        )
        p = activate(logits.reshape(len(rows), -1))
        return [
            np.column_stack([1 - p[:, b[0]], p[:, b[0]]]) if len(b) == 1 else p[:, b]
            for b in blocks
        ]

    return predict
