"""Similarity of tasks, as a matrix."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sk_mtl._compat.arguments import check_choice
from sk_mtl._data.labels import read_labels
from sk_mtl._data.row_order import warn_of_other_order
from sk_mtl._data.schema import TargetSchema
from sk_mtl._quoting import quote
from sk_mtl._tasks import enumerate_some
from sk_mtl.plotting._colors import diverging_colormap, text_color_on
from sk_mtl.plotting._figures import SingleAxes, import_pyplot
from sk_mtl.plotting._head_gradients import compare_heads
from sk_mtl.plotting._learners import read_missing_label
from sk_mtl.plotting._matrix import draw_bar, draw_matrix, has_numbers, matrix_size, number_size
from sk_mtl.plotting._similarity import (
    align_logits,
    associate_labels,
    check_two_tasks,
    count_pairs,
    order_by_likeness,
)

# The name of each measure, and whether it has a sign.
_MEASURES = {
    "phi": ("phi of the labels", True),
    "cramers_v": ("Cramér's V of the labels", False),
    "gradients": ("cosine of the gradients", True),
    "logits": ("linear CKA of the logits", False),
}


class TaskSimilarityDisplay(SingleAxes):
    r"""Similarity of tasks as a matrix.

    Made by `from_labels` from y, as the association of the labels over the rows that have both,
    and by `from_estimator` from a fitted estimator, as the similarity of its heads. For up to
    twelve tasks, the similarity is written below the diagonal and the number of rows that have
    both labels above it. Pairs with fewer than `min_common` such rows or an undefined similarity
    are hatched.

    Parameters
    ----------
    similarity : ndarray of float of shape (n_tasks, n_tasks)
        The similarity of each pair of tasks; NaN where undefined.
    task_names : sequence of hashable
        The names of the tasks.
    counts : ndarray of int of shape (n_tasks, n_tasks), default=None
        The number of rows that have both labels.
    name : str, default="similarity"
        The label of the colour bar.
    signed : bool, default=True
        Whether the similarity is between -1 and 1, and not between 0 and 1.
    min_common : int, default=30
        Pairs with fewer common rows are hatched.

    Attributes
    ----------
    order_ : list of int
        The tasks in the order drawn.
    figure_ : matplotlib.figure.Figure
        The figure, once drawn.
    axes_ : ndarray of matplotlib.axes.Axes of shape (1,)
        The axes.
    ax_ : matplotlib.axes.Axes
        The same axes.
    image_ : matplotlib.image.AxesImage
        The matrix drawn, masked for the hatched pairs.

    See Also
    --------
    LabelCoverageDisplay : Which tasks are labelled together.

    Notes
    -----
    *Labels.* "phi" is Pearson's correlation of the second classes of two binary tasks.
    "cramers_v" is for any number of classes, has no sign, and is corrected for its bias in small
    tables [1]_.

    *Gradients.* The cosine of the gradients of the two losses with respect to the output of the
    last shared layer, over all rows that have both labels. If it is positive, changes of the
    representation that help one task tend to help the other; if it is negative, the tasks are in
    conflict. [2]_ and [3]_ compare gradients with respect to the shared weights during training.
    Those gradients vanish at the end of training and say little about a fitted network, unlike
    the gradients with respect to the representation, as in [4]_.

    *Logits.* Linear CKA [5]_ of the logits of the rows, with or without labels. For two binary
    tasks it is the squared correlation of their log-odds.

    References
    ----------
    .. [1] W. Bergsma (2013). A bias-correction for Cramér's V and Tschuprow's T. Journal of the
       Korean Statistical Society 42(3), equations 4 to 6.

    .. [2] T. Yu et al. (2020). Gradient Surgery for Multi-Task Learning. NeurIPS 2020,
       arXiv 2001.06782, definition 1.

    .. [3] C. Fifty et al. (2021). Efficiently Identifying Task Groupings for Multi-Task Learning.
       NeurIPS 2021, arXiv 2109.04617.

    .. [4] O. Sener, V. Koltun (2018). Multi-Task Learning as Multi-Objective Optimization.
       NeurIPS 2018, arXiv 1810.04650, section 3.3.

    .. [5] S. Kornblith et al. (2019). Similarity of Neural Network Representations Revisited.
       ICML 2019, arXiv 1905.00414, section 3.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mtl.plotting import TaskSimilarityDisplay
    >>> y = np.array([[0, 0, 1], [1, 1, 0], [0, 0, 1], [1, np.nan, 1], [1, 1, 0], [0, 1, np.nan]])
    >>> display = TaskSimilarityDisplay.from_labels(y, min_common=3)
    >>> display.similarity.round(2)
    array([[ 1.  ,  0.67, -0.67],
           [ 0.67,  1.  , -1.  ],
           [-0.67, -1.  ,  1.  ]])
    >>> display.counts
    array([[6, 5, 5],
           [5, 5, 4],
           [5, 4, 5]])
    """

    image_: Any
    order_: list[int]

    def __init__(
        self,
        similarity: np.ndarray,
        task_names: Sequence[Hashable],
        counts: np.ndarray | None = None,
        name: str = "similarity",
        signed: bool = True,
        min_common: int = 30,
    ):
        self.similarity = np.asarray(similarity, dtype=np.float64)
        self.task_names = list(task_names)
        self.counts = None if counts is None else np.asarray(counts)
        self.name = name
        self.signed = signed
        self.min_common = min_common

    @classmethod
    def from_labels(
        cls,
        y: Any,
        *,
        measure: str = "auto",
        missing_label: Any = None,
        min_common: int = 30,
        order: str = "given",
        ax: Any = None,
    ) -> Any:
        """Compare the labels of each pair of tasks and draw the matrix.

        Parameters
        ----------
        y : DataFrame, array-like of shape (n_samples, n_tasks)
            Class labels; NaN, None, NaT or NA where missing.
        measure : {"auto", "phi", "cramers_v"}, default="auto"
            The measure; "auto" is "phi" if no task has more than two classes, else "cramers_v".
        missing_label : scalar, list-like of scalars or dict, default=None
            Further values that mean "missing".
        min_common : int, default=30
            Pairs with fewer rows that have both labels are hatched.
        order : {"given", "clustered"}, default="given"
            As in `plot`.
        ax : matplotlib.axes.Axes, default=None
            As in `plot`.

        Returns
        -------
        display : TaskSimilarityDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If there is only one task, or `measure` is "phi" and a task has more than two classes.
        """
        check_choice("TaskSimilarityDisplay", "measure", measure, ("auto", "phi", "cramers_v"))
        table = read_labels(y, missing_label=missing_label)
        check_two_tasks(table.task_names)
        schema = TargetSchema.from_table(table)
        targets = schema.encode(table)
        larger = [
            f"{quote(name)} ({n})"
            for name, n in zip(table.task_names, schema.n_classes, strict=True)
            if n > 2
        ]
        if measure == "auto":
            measure = "cramers_v" if larger else "phi"
        if measure == "phi" and larger:
            raise ValueError(
                "measure='phi' is for tasks of two classes; more have "
                f"{enumerate_some(larger)}. Use measure='cramers_v'."
            )
        name, signed = _MEASURES[measure]
        association = associate_labels(
            targets.codes, targets.label_mask, schema.n_classes, signed=signed
        )
        display = cls(
            association, table.task_names, count_pairs(table.label_mask), name, signed, min_common
        )
        return display.plot(ax, order=order)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        measure: str = "gradients",
        sample_weight: Any = None,
        missing_label: Any = None,
        min_common: int = 30,
        order: str = "given",
        ax: Any = None,
    ) -> Any:
        """Compare the heads of a fitted estimator and draw the matrix.

        Parameters
        ----------
        estimator : estimator
            A fitted `MultiTaskClassifier`, or a fitted Pipeline or search that ends in one. For
            "logits", any with `predict_proba` for several tasks.
        X : array-like of shape (n_samples, n_features)
            Samples, preferably not those of training.
        y : DataFrame, array-like of shape (n_samples, n_tasks), default=None
            Their labels; NaN, None, NaT or NA where missing. Required for "gradients", not used
            for "logits".
        measure : {"gradients", "logits"}, default="gradients"
            The measure; see Notes of the class.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_tasks), default=None
            Weight per row or per cell, for "gradients".
        missing_label : scalar, list-like of scalars or dict, default=None
            Further values that mean "missing"; None means those of the estimator.
        min_common : int, default=30
            Pairs with fewer rows that have both labels are hatched.
        order : {"given", "clustered"}, default="given"
            As in `plot`.
        ax : matplotlib.axes.Axes, default=None
            As in `plot`.

        Returns
        -------
        display : TaskSimilarityDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If there is only one task, if labels for "gradients" are missing, or if `model=` is a
            whole network, whose heads are unknown.
        """
        check_choice("TaskSimilarityDisplay", "measure", measure, ("gradients", "logits"))
        check_is_fitted(estimator)
        counts = None
        if measure == "logits":
            probabilities = estimator.predict_proba(X)
            if not isinstance(probabilities, list):
                probabilities = [probabilities]
            default_names = [f"y{t}" for t in range(len(probabilities))]
            names = list(getattr(probabilities, "task_names", default_names))
            check_two_tasks(names)
            similarity = align_logits(probabilities)
        else:
            if y is None:
                raise ValueError(
                    "measure='gradients' needs the labels of X: pass y, or use measure='logits'."
                )
            warn_of_other_order({"X": X, "y": y, "sample_weight": sample_weight})
            table = read_labels(y, missing_label=read_missing_label(estimator, missing_label))
            names, similarity, counts = compare_heads(estimator, X, table, sample_weight)
        name, signed = _MEASURES[measure]
        return cls(similarity, names, counts, name, signed, min_common).plot(ax, order=order)

    def plot(
        self,
        ax: Any = None,
        *,
        order: str = "given",
        cmap: Any = None,
        vmax: float | None = None,
        im_kw: Mapping[str, Any] | None = None,
    ) -> TaskSimilarityDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw. None makes a new figure.
        order : {"given", "clustered"}, default="given"
            The order of the tasks: as given, or by a hierarchical clustering with average linkage,
            which puts similar tasks side by side.
        cmap : str or Colormap, default=None
            Colour map. None means "viridis", or for signed similarities one from blue to orange
            with the background colour at 0.
        vmax : float, default=None
            The similarity at the end of the colour map. None means 1, or 0.5, 0.2 or 0.1 if no two
            tasks are more similar.
        im_kw : dict, default=None
            For matplotlib's `imshow`.

        Returns
        -------
        display : TaskSimilarityDisplay
            The display itself.
        """
        check_choice("TaskSimilarityDisplay", "order", order, ("given", "clustered"))
        plt, n_tasks = import_pyplot(), len(self.task_names)
        from matplotlib.colors import to_rgb

        shown = self._masked()
        is_clustered = order == "clustered"
        self.order_ = order_by_likeness(shown.filled(np.nan)) if is_clustered else [*range(n_tasks)]
        shown = shown[np.ix_(self.order_, self.order_)]
        ax = self._use_axes(ax, matrix_size(n_tasks))
        if cmap is None:
            cmap = diverging_colormap() if self.signed else "viridis"
        if vmax is None:
            vmax = self._choose_vmax(shown)
        settings = {"vmin": -vmax if self.signed else 0, "vmax": vmax, "cmap": cmap}
        names = [self.task_names[i] for i in self.order_]
        self.image_ = draw_matrix(ax, shown, names, settings, im_kw)
        if shown.mask.any():
            # The background is visible where the image is masked.
            color = (*to_rgb(plt.rcParams["text.color"]), 0.3)
            ax.patch.set(hatch="////", edgecolor=color, linewidth=0)
        if self._has_numbers():
            self._write_numbers(ax, shown)
        ax.set_title(self._explain(), fontsize="small", loc="left")
        extend = "neither" if vmax >= 1 else "both" if self.signed else "max"
        draw_bar(ax, self.image_, self.name, extend)
        return self

    def _masked(self) -> np.ma.MaskedArray:
        """Return the similarity, masked where it is undefined or from too few rows."""
        hidden = np.isnan(self.similarity)
        if self.counts is not None:
            hidden |= self.counts < self.min_common
        return np.ma.array(self.similarity, mask=hidden)

    def _has_numbers(self) -> bool:
        return has_numbers(len(self.task_names))

    def _choose_vmax(self, shown: np.ma.MaskedArray) -> float:
        """Return the end of the colour map, lower if all similarities are low."""
        others = np.abs(shown[~np.eye(len(shown), dtype=bool)].compressed())
        highest = others.max() if len(others) else 1
        return next((end for end in (0.1, 0.2, 0.5) if highest <= end), 1.0)

    def _explain(self) -> str:
        """Return the title, which explains the numbers and the hatching."""
        lines = []
        if self._has_numbers() and self.counts is not None:
            lines.append("above the diagonal: rows with both labels")
        if self._masked().mask.any():
            lines.append("hatched: undefined")
            if self.counts is not None and (self.counts < self.min_common).any():
                lines[-1] = (
                    f"hatched: fewer than {self.min_common} rows with both labels, or undefined"
                )
        return "\n".join(lines)

    def _write_numbers(self, ax: Any, shown: np.ma.MaskedArray) -> None:
        """Write the similarities, and the counts above the diagonal if there are any."""
        size = number_size(len(shown))
        mappable = self.image_
        for row, column in np.ndindex(shown.shape):
            value = shown[row, column]
            if self.counts is not None and row <= column:
                text = f"{self.counts[self.order_[row], self.order_[column]]:,}"
            elif value is np.ma.masked:
                continue
            else:
                text = f"{value:.2f}".replace("-0.00", "0.00")
            color = (
                import_pyplot().rcParams["text.color"]
                if value is np.ma.masked
                else text_color_on(mappable.cmap(mappable.norm(value)))
            )
            ax.text(column, row, text, color=color, fontsize=size, ha="center", va="center")
