"""Progress: a bar or lines of text in a terminal or a notebook."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import keras
from tqdm.auto import tqdm

__all__ = ["ProgressBar"]

_MAX_TASKS_SHOWN = 4


class ProgressBar(keras.callbacks.Callback):
    """Shows epochs done, time left, and the losses (validation if any) of the first four tasks."""

    def __init__(
        self, task_names: Sequence[Hashable], title: str = "epochs", line_per_epoch: bool = False
    ):
        super().__init__()
        self.task_names = task_names
        self.title = title
        self.line_per_epoch = line_per_epoch
        self._bar: Any = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Open the bar."""
        self._bar = tqdm(
            total=self.params["epochs"], desc=self.title, unit="epoch", disable=self.line_per_epoch
        )

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start from the epochs of earlier fits."""
        if self._bar.n == 0 and epoch:
            self._bar.update(epoch)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Show the losses of an epoch."""
        shown = self._losses_to_show(logs or {})
        if self.line_per_epoch:
            width = len(str(self.params["epochs"]))
            losses = "  ".join(f"{name}={value}" for name, value in shown.items())
            number = f"{epoch + 1:{width}}/{self.params['epochs']}"
            tqdm.write(f"{self.title}: epoch {number}  {losses}")
        else:
            self._bar.set_postfix(shown, refresh=False)
            self._bar.update()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Close the bar, as it stands."""
        if self._bar is not None:
            self._bar.close()

    def _losses_to_show(self, logs: dict[str, Any]) -> dict[str, str]:
        """Return the mean loss, and those of the first tasks, as text."""
        prefix = "val_" if "val_loss" in logs else ""
        names = ["loss", *(["val_loss"] if prefix else [])]
        if len(self.task_names) > 1:
            names += [f"{prefix}{name}_loss" for name in self.task_names[:_MAX_TASKS_SHOWN]]
        # A callback may have added a validation loss of its own.
        return {name: f"{logs[name]:.4f}" for name in names if name in logs}
