"""The explanation of predictions of one task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Explanation"]


@dataclass(frozen=True, repr=False, eq=False)  # arrays have no one truth value
class Explanation:
    """What each feature adds to the predictions of one task.

    The attributes have the names and shapes of a ``shap.Explanation``; `to_shap` returns one, for
    the plots of shap.

    Parameters
    ----------
    values : ndarray of float64 of shape (n_samples, n_features, n_classes)
        What each feature adds to the output of each class. For each row and class, the values and
        the base value sum to the output.
    base_values : ndarray of float64 of shape (n_samples, n_classes)
        The mean output over the background, in each row.
    data : ndarray of float32 of shape (n_samples, n_features)
        The features as the network reads them: numbers, positions in ``categories_``, and NaN where
        missing.
    display_data : ndarray of object of shape (n_samples, n_features)
        The features as they were passed.
    feature_names : list of str
        The names of the features.
    output_names : list of str
        The classes.
    method : {"exact", "permutation"}
        Whether the values are exact for this background, or estimated by random orders.

    Examples
    --------
    >>> from sk_mtl import MultiTaskClassifier
    >>> from sk_mtl.datasets import make_multitask_classification
    >>> X, Y = make_multitask_classification(n_samples=80, random_state=0)
    >>> clf = MultiTaskClassifier((8,), epochs=2, random_state=0).fit(X, Y)
    >>> clf.explain(X[:5], "y0", background=X)
    <Explanation: 5 samples, 20 features, 2 classes, permutation>
    """

    values: np.ndarray
    base_values: np.ndarray
    data: np.ndarray
    display_data: np.ndarray
    feature_names: list[str]
    output_names: list[str]
    method: str

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the values."""
        return self.values.shape

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.values)

    def to_shap(self) -> Any:
        """Return the explanation as shap's own object.

        Returns
        -------
        explanation : shap.Explanation
            For the plots of shap, which take one class: ``explanation.to_shap()[..., 1]``.

        Raises
        ------
        ImportError
            If shap is not installed.
        """
        try:
            import shap
        except ImportError as error:
            raise ImportError("to_shap needs shap: pip install shap.") from error
        return shap.Explanation(
            values=self.values,
            base_values=self.base_values,
            data=self.data,
            display_data=self.display_data,
            feature_names=self.feature_names,
            output_names=self.output_names,
        )

    def __repr__(self) -> str:
        """Return the sizes and the method."""
        n, n_features, n_classes = self.values.shape
        return (
            f"<Explanation: {n} samples, {n_features} features, {n_classes} classes, {self.method}>"
        )
