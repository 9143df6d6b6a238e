"""Reports: the labels and scores of each task, beside the scores of the constant predictor."""
