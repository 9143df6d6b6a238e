"""Commands for tables in files: ``python -m sk_mtl COMMAND``, a module for each."""

# What the help of ``python -m sk_mtl`` says of each.
COMMANDS = {
    "fit": "fit a network to a table, and save it",
    "predict": "predict the tasks of a saved model for a table",
    "complete": "fill the holes of some columns of a table",
    "evaluate": "score a saved model on a table with labels",
    "report": "write a page about a saved model and a table with labels",
    "export": "write a saved model as ONNX, Keras, SavedModel or LiteRT",
}
