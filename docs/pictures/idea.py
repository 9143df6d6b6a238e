"""The picture of the README: a table with holes, one network, complete probabilities.

Usage: python docs/pictures/idea.py
It writes idea.svg beside itself. The picture has its own background, so that it can be read on
light and on dark pages; it is dark where the reader prefers dark pages.
"""

from pathlib import Path

ROWS = (  # of each row, the labels of three tasks: sold, size, returned; None is a hole
    ("yes", "M", None),
    ("no", None, None),
    ("yes", "L", "no"),
    (None, "S", None),
    ("no", None, None),
    ("yes", None, "yes"),
)
PROBABILITIES = (  # of the most probable class, for the picture only
    (0.93, 0.81, 0.74),
    (0.88, 0.57, 0.90),
    (0.97, 0.90, 0.83),
    (0.69, 0.77, 0.86),
    (0.91, 0.62, 0.95),
    (0.84, 0.55, 0.71),
)
FEATURES = ((7, 4, 9), (3, 8, 5), (6, 6, 2), (9, 3, 7), (4, 9, 4), (8, 5, 6))
TASKS = ("sold", "size", "returned")
WIDTH, HEIGHT = 840, 290
TOP, ROW, CELL = 84, 28, 46

STYLE = """
  .card { fill: #ffffff; stroke: #d0d7de; }
  text { fill: #1f2328; font: 14px system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
  .title { font-weight: 600; font-size: 16px; }
  .quiet, .mark { fill: #59636e; }
  .small { font-size: 12px; }
  .feature { fill: #e6eaef; }
  .hole { fill: none; stroke: #8c959f; stroke-dasharray: 3 3; }
  .layer { fill: #e6eaef; stroke: #8c959f; }
  .line { stroke: #8c959f; stroke-width: 1.5; fill: none; }
  .t0 { fill: #9ecbf2; } .t1 { fill: #f9c98b; } .t2 { fill: #a9dcae; }
  .b0 { fill: #dcecfa; } .b1 { fill: #fdebd2; } .b2 { fill: #dff3e1; }
  @media (prefers-color-scheme: dark) {
    .card { fill: #161b22; stroke: #3d444d; }
    text { fill: #e6edf3; }
    .quiet, .mark { fill: #9ea7b3; }
    .feature, .layer { fill: #2d333b; }
    .t0 { fill: #2f6da8; } .t1 { fill: #9a6212; } .t2 { fill: #2e7d43; }
    .b0 { fill: #1c3048; } .b1 { fill: #3d2c12; } .b2 { fill: #1b3322; }
  }
"""


def text(x, y, content, kind="", anchor="middle"):
    return f'<text x="{x}" y="{y}" class="{kind}" text-anchor="{anchor}">{content}</text>'


def box(x, y, width, height, kind, radius=3):
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="{radius}" class="{kind}"/>'


def draw_table(left):
    """Draw the features and the labels, some of them missing."""
    labels = left + 3 * 30 + 14
    yield text(left + 43, TOP - 12, "X", "quiet")
    for t, task in enumerate(TASKS):
        yield text(labels + t * (CELL + 14) + 28, TOP - 12, task, "quiet small")
    for r, (features, row) in enumerate(zip(FEATURES, ROWS, strict=True)):
        y = TOP + r * ROW
        for j, value in enumerate(features):
            yield box(left + j * 30, y, 27, ROW - 5, "feature")
            yield text(left + j * 30 + 13.5, y + 16, value, "quiet small")
        for t, label in enumerate(row):
            x = labels + t * (CELL + 14)
            yield box(x, y, CELL + 10, ROW - 5, f"t{t}" if label else "hole")
            yield text(x + 28, y + 16, label or "?", "" if label else "mark")


def draw_network(left):
    """Draw the layers that all tasks share, and a head for each task."""
    middle = TOP + 3 * ROW - 3
    yield f'<path class="line" d="M{left - 42} {middle}h30m-7 -5l7 5l-7 5"/>'
    yield box(left, TOP + 12, 60, 6 * ROW - 30, "layer", 6)
    yield text(left + 30, middle - 2, "shared")
    yield text(left + 30, middle + 16, "layers")
    for t in range(3):
        y = TOP + 16 + t * 54
        curve = (
            f"M{left + 60} {middle}C{left + 78} {middle} {left + 74} {y + 17} {left + 92} {y + 17}"
        )
        yield f'<path class="line" d="{curve}"/>'
        yield box(left + 92, y, 52, 34, f"t{t}", 6)
        yield text(left + 118, y + 22, "head")
    yield f'<path class="line" d="M{left + 156} {middle}h30m-7 -5l7 5l-7 5"/>'


def draw_predictions(left):
    """Draw the most probable class of each cell, with its probability as a bar."""
    for t, task in enumerate(TASKS):
        yield text(left + t * 78 + 36, TOP - 12, task, "quiet small")
    for r, (row, labels) in enumerate(zip(PROBABILITIES, guesses(), strict=True)):
        for t, (share, label) in enumerate(zip(row, labels, strict=True)):
            x, y = left + t * 78, TOP + r * ROW
            yield box(x, y, 72, ROW - 5, f"b{t}")
            yield box(x, y, round(72 * share, 1), ROW - 5, f"t{t}")
            yield text(x + 36, y + 16, f"{label} {share:.2f}".replace("0.", "."))


def guesses():
    """Return the labels of each row, with a class in each hole."""
    filled = ("no", "S", "no")
    return [[label or filled[t] for t, label in enumerate(row)] for row in ROWS]


def draw():
    """Return the picture."""
    description = (
        "A table of features X and of labels for three tasks, of which some are missing. One "
        "network with shared layers and a head for each task gives a probability for every cell."
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{description}">',
        f"<style>{STYLE}</style>",
        box(0.5, 0.5, WIDTH - 1, HEIGHT - 1, "card", 10),
        text(22, 38, "A table of labels with holes", "title", "start"),
        *draw_table(22),
        text(448, 38, "One network", "title"),
        *draw_network(374),
        text(590, 38, "Probabilities for all cells", "title", "start"),
        *draw_predictions(590),
        text(
            22,
            HEIGHT - 18,
            "A missing label adds nothing to the loss. The known labels of all tasks train the "
            "shared layers.",
            "quiet",
            "start",
        ),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    Path(__file__).with_suffix(".svg").write_text(draw(), encoding="utf-8")
