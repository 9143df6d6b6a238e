"""The order of the examples in the gallery."""

ORDER = (
    # what the network is for
    "plot_few_labels",
    "plot_three_heads",
    "plot_mixed_table",
    "plot_completing",
    # training
    "plot_early_stopping",
    "plot_task_weights",
    "plot_search",
    "plot_groups",
    "plot_unlabelled_rows",
    # predictions
    "plot_calibration",
    "plot_ensemble",
    "plot_explaining",
    "plot_judging_a_model",
    "plot_judging_tasks",
    "plot_task_view",
    # Keras
    "plot_custom_network",
    "plot_keras_masked_loss",
)


class LearningOrder:
    """Sort the scripts as listed; one that is not listed comes last, by its name."""

    def __init__(self, src_dir):
        self.src_dir = src_dir

    def __call__(self, filename):
        """Return the place of a script."""
        name = filename.removesuffix(".py")
        return (ORDER.index(name) if name in ORDER else len(ORDER), name)
