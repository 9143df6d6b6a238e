"""What of a fitted estimator is for other tools: the network in Keras's terms, and its codes."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sk_mtl._fit.fitted import FittedModel
from sk_mtl._fit.shown import read_only
from sk_mtl._quoting import quote

__all__ = ["ExportMixin"]


class ExportMixin:
    """Methods and attributes that show the network as other tools need it."""

    _fitted: FittedModel

    def _snapshot(self) -> Self:
        """Return the estimator as it is now: another thread may fit it at any moment."""
        raise NotImplementedError

    @property
    def categories_(self) -> dict[Hashable, np.ndarray]:
        """The categories of the categorical features."""
        now = self._snapshot()
        check_is_fitted(now)
        known = now._fitted.encoder.categories or ()
        names = getattr(now, "feature_names_in_", range(len(known)))
        named = zip(names, known, strict=True) if len(known) else ()
        return {name: read_only(values) for name, values in named if values is not None}

    def to_keras(self) -> Any:
        """Return the network as a Keras model of class probabilities.

        Each call builds a new model, which is independent of the estimator.

        Returns
        -------
        model : keras.Model
            From "X", float32 of shape (n_samples, n_features), to a dict with the class
            probabilities of each task, (n_samples, n_classes_t), as `predict_proba` gives them, by
            the name of the task as text; "probabilities" for a 1-D y. In X, a category is its
            position in `categories_`, and NaN stands for a missing cell. A network with
            `known_labels` takes its label columns after the features: zeros where no label is
            known. A task without labels in training has no output.

        Raises
        ------
        ValueError
            If no task has two classes, or two tasks have the same name as text.

        See Also
        --------
        to_onnx : The whole model with its categories, without TensorFlow.

        Examples
        --------
        >>> from sk_mtl import MultiTaskClassifier
        >>> from sk_mtl.datasets import make_multitask_classification
        >>> X, Y = make_multitask_classification(n_samples=80, as_frame=True, random_state=0)
        >>> clf = MultiTaskClassifier((8,), epochs=2, random_state=0).fit(X, Y)
        >>> model = clf.to_keras()
        >>> {name: p.shape[1] for name, p in model.output.items()}
        {'y0': 2, 'y1': 2, 'y2': 2}
        """
        now = self._snapshot()
        check_is_fitted(now)
        fitted = now._fitted
        if fitted.network is None:
            raise ValueError(
                "There is no network to export: no task has two classes among its labels."
            )
        positions = np.cumsum(fitted.is_learnable) - 1
        tasks: list[tuple[str, int | None]] = []
        for t, task in enumerate(fitted.schema.task_names):
            name = "probabilities" if fitted.schema.is_1d else str(task)
            if any(name == other for other, _ in tasks):
                raise ValueError(f"Two tasks are called {quote(name)} as text. Rename one.")
            if fitted.has_labels[t]:
                tasks.append((name, int(positions[t]) if fitted.is_learnable[t] else None))
        return fitted.network.build_probabilities(tasks)
