"""``python -m sk_mtl export``: a saved model in a format of other tools."""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sk_mtl._codec.files import check_writable, replace_file
from sk_mtl._commands.console import quiet_import, run_command
from sk_mtl._commands.formats import check_output
from sk_mtl._commands.models import load_classifier
from sk_mtl._commands.options import add_quiet, make_parser
from sk_mtl._quoting import quote

__all__ = ["main"]

_ENDINGS = {".onnx": "onnx", ".keras": "keras", ".tflite": "litert", ".litert": "litert"}
_FORMATS = ("onnx", "keras", "saved_model", "litert")


def main(arguments: Sequence[str]) -> int:
    """Run the command; return the exit status."""
    return run_command(_make_parser(), _run, arguments)


def _make_parser() -> argparse.ArgumentParser:
    parser = make_parser(
        "export",
        "Write a saved model for other tools. ONNX takes the columns of the table as they are, and "
        "needs no TensorFlow; the other formats hold the network alone, which takes numbers and "
        "the positions of categories.",
        has_tables=False,
    )
    parser.add_argument("model", type=Path, metavar="MODEL", help="a model that `fit` has saved")
    parser.add_argument(
        "output",
        type=Path,
        metavar="OUTPUT",
        help="where to write it: a file that ends with .onnx, .keras or .tflite, or a new folder "
        "for a SavedModel",
    )
    parser.add_argument(
        "--format", choices=_FORMATS, help="the format, if the name of the output does not tell"
    )
    parser.add_argument(
        "--labels", action="store_true", help="ONNX: give the predicted labels, too"
    )
    add_quiet(parser)
    return parser


def _run(options: argparse.Namespace) -> None:
    kind = _find_format(options.output, options.format)
    if options.labels and kind != "onnx":
        raise ValueError(
            f"--labels is for ONNX: the network that {kind} holds gives probabilities only."
        )
    if kind == "saved_model":
        _check_folder(options.output)
    else:
        check_output(options.output, inputs=[options.model], is_table=False)
    clf = load_classifier(options.model)
    if kind == "onnx":
        from sk_mtl._onnx.export import to_onnx

        to_onnx(clf, options.output, labels=options.labels)
    else:
        with quiet_import():
            import tensorflow  # noqa: F401, ICN001
        with warnings.catch_warnings():
            # Keras and TensorFlow tell their own developers what is to change.
            warnings.simplefilter("ignore", DeprecationWarning)
            _write_network(clf.to_keras(), options.output, kind)
    if not options.quiet:
        print(f"Wrote {options.output}")


def _find_format(path: Path, named: str | None) -> str:
    """Return the format to write, by the name of the file if it is not named."""
    told = _ENDINGS.get(path.suffix.lower())
    if named is None and told is None:
        if path.suffix:
            raise ValueError(
                f"The name {quote(path.name)} does not tell a format. It must end with "
                f"{', '.join(_ENDINGS)}, or add --format {'|'.join(_FORMATS)}."
            )
        return "saved_model"
    if named is not None and told is not None and named != told:
        raise ValueError(f"The name {quote(path.name)} says {told}, and --format {named}.")
    return named or str(told)


def _check_folder(path: Path) -> None:
    """Refuse to write a folder where something is: it could not be replaced in one step."""
    if path.exists():
        raise ValueError(f"{path} is there already. Name a new folder, or remove it first.")
    check_writable(str(path))


def _write_network(network: Any, path: Path, kind: str) -> None:
    """Write a Keras model in one step."""
    if kind == "saved_model":
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
        try:
            network.export(str(temporary), verbose=False)
            os.rename(temporary, path)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        return
    with tempfile.TemporaryDirectory() as folder:
        if kind == "keras":
            file = Path(folder) / "model.keras"
            network.save(file)
            content = file.read_bytes()
        else:
            import tensorflow as tf

            network.export(folder, verbose=False)
            content = tf.lite.TFLiteConverter.from_saved_model(folder).convert()
    replace_file(str(path), content)
