"""The masked multi-task network that an expert writes in PyTorch, with settings tuned by hand."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["fit_expert"]

FINGERPRINT = {"hidden": 512, "dropout": 0.6, "weight_decay": 0.5, "batch_size": 128}
TABULAR = {"hidden": 256, "dropout": 0.4, "weight_decay": 0.1, "batch_size": 256}
_EPOCHS, _PATIENCE = 100, 10


def fit_expert(
    X: np.ndarray,
    Y: pd.DataFrame,
    train: np.ndarray,
    valid: np.ndarray,
    classes: list[np.ndarray],
    *,
    is_fingerprint: bool,
    seed: int,
) -> Callable[[np.ndarray], list[np.ndarray]]:
    """Train with early stopping on the validation log loss; return what predicts probabilities."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    settings = FINGERPRINT if is_fingerprint else TABULAR
    codes = torch.from_numpy(_encode(Y, classes))
    inputs = torch.from_numpy(X)
    network = _make_network(settings, X.shape[1], codes[train], classes)
    matrices = [p for p in network.parameters() if p.ndim > 1]
    vectors = [p for p in network.parameters() if p.ndim == 1]
    optimizer = torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": settings["weight_decay"]},
            {"params": vectors, "weight_decay": 0.0},
        ],
        lr=1e-3,
    )
    best, best_loss, waited = None, np.inf, 0
    for _ in range(_EPOCHS):
        network.train()
        order = torch.from_numpy(train)[torch.randperm(len(train))].long()
        for rows in order.split(int(settings["batch_size"])):
            loss, n_cells = _total_loss(network(inputs[rows]), codes[rows], classes)
            optimizer.zero_grad()
            (loss.sum() / n_cells.sum().clamp(min=1)).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
        network.eval()
        with torch.no_grad():
            loss, n_cells = _total_loss(network(inputs[valid]), codes[valid], classes)
        watched = float((loss / n_cells.clamp(min=1))[n_cells > 0].mean())
        waited = 0 if watched < best_loss else waited + 1
        if not waited:
            best, best_loss = copy.deepcopy(network.state_dict()), watched
        if waited == _PATIENCE:
            break
    network.load_state_dict(best)

    def predict(X: np.ndarray) -> list[np.ndarray]:
        with torch.no_grad():
            logits = network(torch.from_numpy(X))
        return [_probabilities(z).numpy() for z in logits.split(_widths(classes), dim=1)]

    return predict


def _encode(Y: pd.DataFrame, classes: list[np.ndarray]) -> np.ndarray:
    """Return class indices, -1 where missing."""
    columns = [
        pd.Index(known).get_indexer(y) for (_, y), known in zip(Y.items(), classes, strict=True)
    ]
    return np.stack(columns, axis=1).astype(np.int64)


def _widths(classes: list[np.ndarray]) -> list[int]:
    return [1 if len(known) == 2 else len(known) for known in classes]


def _make_network(
    settings: dict[str, Any], n_features: int, codes: Any, classes: list[np.ndarray]
) -> Any:
    """The module; its output biases are the log-odds of the classes."""
    import torch
    from torch import nn

    network = nn.Sequential(
        nn.Linear(n_features, settings["hidden"]),
        nn.ReLU(),
        nn.Dropout(settings["dropout"]),
        nn.Linear(settings["hidden"], sum(_widths(classes))),
    )
    biases = []
    for t, known in enumerate(classes):
        counts = [(codes[:, t] == k).sum().clamp(min=1) for k in range(len(known))]
        log_p = torch.stack(counts).log()
        biases.append(log_p[1:] - log_p[:1] if len(known) == 2 else log_p - log_p.mean())
    with torch.no_grad():
        network[-1].bias.copy_(torch.cat(biases))
    return network


def _total_loss(logits: Any, codes: Any, classes: list[np.ndarray]) -> tuple[Any, Any]:
    """Return per task the sum of the cross-entropy over labelled cells, and their number."""
    import torch
    from torch.nn import functional

    sums = []
    for t, z in enumerate(logits.split(_widths(classes), dim=1)):
        y = codes[:, t]
        if z.shape[1] == 1:
            mask = (y >= 0).float()
            sums.append(
                functional.binary_cross_entropy_with_logits(
                    z[:, 0], y.clamp(min=0).float(), mask, reduction="sum"
                )
            )
        else:
            sums.append(functional.cross_entropy(z, y, ignore_index=-1, reduction="sum"))
    return torch.stack(sums), (codes >= 0).sum(dim=0)


def _probabilities(z: Any) -> Any:
    import torch

    if z.shape[1] > 1:
        return z.softmax(dim=1)
    p = z.sigmoid()
    return torch.cat([1 - p, p], dim=1)
