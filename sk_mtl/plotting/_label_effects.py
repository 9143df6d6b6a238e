"""Which known labels change the predictions of which task, as a matrix."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from sk_mtl._data.row_order import warn_of_other_order
from sk_mtl.metrics._completion import as_labels, reach_completer, read_several_tasks
from sk_mtl.plotting._colors import text_color_on
from sk_mtl.plotting._figures import SingleAxes
from sk_mtl.plotting._learners import read_missing_label
from sk_mtl.plotting._matrix import draw_bar, draw_matrix, has_numbers, matrix_size, number_size


class LabelEffectsDisplay(SingleAxes):
    r"""How much the known labels of each task change the predictions of the others, as a matrix.

    A row is a task that is predicted, a column one whose label is known. The number is the mean,
    over the rows of X that have this label, of the distance between the probabilities given all
    known labels of other tasks and those given all of them but this one: half the sum of the
    absolute differences, which for two classes is the change of the probability of either. It lies
    between 0 and 1.

    Parameters
    ----------
    effects : ndarray of float of shape (n_tasks, n_tasks)
        The mean effect on the task of a row by the label of the task of a column; NaN where there
        is none, as on the diagonal.
    task_names : sequence of hashable
        The names of the tasks.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        The figure, once drawn.
    axes_ : ndarray of matplotlib.axes.Axes of shape (1,)
        The axes.
    ax_ : matplotlib.axes.Axes
        The same axes.
    image_ : matplotlib.image.AxesImage
        The matrix drawn, masked where there is no effect.

    See Also
    --------
    sk_mtl.MultiTaskClassifier.label_effects : The effects on one class of a task, row by row.
    TaskSimilarityDisplay : Similarity of tasks by their labels, gradients or logits.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mtl import MultiTaskClassifier
    >>> from sk_mtl.plotting import LabelEffectsDisplay
    >>> rng = np.random.default_rng(0)
    >>> X, labels = rng.normal(size=(150, 2)), rng.integers(2, size=(150, 2))
    >>> Y = np.column_stack([labels, labels[:, 0]])  # the third task is a copy of the first
    >>> clf = MultiTaskClassifier((32,), epochs=30, known_labels=True, random_state=0)
    >>> effects = LabelEffectsDisplay.from_estimator(clf.fit(X, Y), X, Y).effects
    >>> bool(effects[2, 0] > 0.3), bool(effects[2, 1] < 0.1)
    (True, True)
    """

    image_: Any

    def __init__(self, effects: np.ndarray, task_names: Sequence[Hashable]):
        self.effects = np.asarray(effects, dtype=np.float64)
        self.task_names = list(task_names)

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, Y: Any, *, missing_label: Any = None, ax: Any = None
    ) -> Any:
        """Compute the effects of known labels and draw the matrix.

        Parameters
        ----------
        estimator : estimator
            A `MultiTaskClassifier` fitted with ``known_labels=True``, or a fitted Pipeline or
            search that ends in one.
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Samples, preferably not those of training. The time grows with the square of the number
            of tasks.
        Y : DataFrame or array-like of shape (n_samples, n_tasks)
            Their labels; NaN, None, NaT or NA where missing.
        missing_label : scalar, list-like of scalars or dict, default=None
            Further values that mean "missing"; None means those of the estimator.
        ax : matplotlib.axes.Axes, default=None
            As in `plot`.

        Returns
        -------
        display : LabelEffectsDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If the estimator cannot complete labels.
        ValueError
            If it was fitted without ``known_labels=True``, or if there is only one task.
        """
        warn_of_other_order({"X": X, "Y": Y})
        missing_label = read_missing_label(estimator, missing_label)
        estimator, X = reach_completer(estimator, X)
        table = read_several_tasks(Y, missing_label, estimator.task_names_)
        if not estimator._fitted.knows_labels:
            raise ValueError(
                "This estimator does not read known labels. Fit the estimator with "
                "known_labels=True."
            )
        names, mask, labels = list(estimator.task_names_), table.label_mask, as_labels(table)

        def predict(hidden: np.ndarray) -> Any:
            return estimator.complete_proba(X, labels, leave_one_out=True, hidden=hidden)

        whole = predict(np.zeros_like(mask))
        effects = np.full((len(names), len(names)), np.nan)
        for column in np.flatnonzero(mask.any(axis=0)):
            hidden, rows = np.zeros_like(mask), mask[:, column]
            hidden[:, column] = True
            # Without names, tasks are matched by position.
            name = table.task_names[column]
            source = names.index(name) if name in names else int(column)
            for task, (p, q) in enumerate(zip(whole, predict(hidden), strict=True)):
                if task != source and p.shape[1] > 1:
                    effects[task, source] = np.abs(p[rows] - q[rows]).sum(axis=1).mean() / 2
        return cls(effects, names).plot(ax)

    def plot(
        self,
        ax: Any = None,
        *,
        cmap: Any = None,
        vmax: float | None = None,
        im_kw: Mapping[str, Any] | None = None,
    ) -> LabelEffectsDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw. None makes a new figure.
        cmap : str or Colormap, default=None
            Colour map. None means "viridis".
        vmax : float, default=None
            The effect at the end of the colour map. None means the largest.
        im_kw : dict, default=None
            For matplotlib's `imshow`.

        Returns
        -------
        display : LabelEffectsDisplay
            The display itself.
        """
        n_tasks = len(self.task_names)
        ax = self._use_axes(ax, matrix_size(n_tasks))
        shown = np.ma.masked_invalid(self.effects)
        if vmax is None:
            vmax = float(shown.max()) if shown.count() and shown.max() > 0 else 1.0
        settings = {"vmin": 0, "vmax": vmax, "cmap": "viridis" if cmap is None else cmap}
        self.image_ = draw_matrix(ax, shown, self.task_names, settings, im_kw)
        ax.set(xlabel="known label", ylabel="predicted task")
        if has_numbers(n_tasks):
            self._write_numbers(ax, shown)
        draw_bar(ax, self.image_, "mean change of the probabilities")
        return self

    def _write_numbers(self, ax: Any, shown: np.ma.MaskedArray) -> None:
        """Write the effects into the matrix."""
        size = number_size(len(shown))
        for (row, column), value in np.ma.ndenumerate(shown):
            color = text_color_on(self.image_.cmap(self.image_.norm(value)))
            text = f"{value:.3f}" if self.image_.norm.vmax < 0.1 else f"{value:.2f}"
            ax.text(column, row, text, color=color, fontsize=size, ha="center", va="center")
