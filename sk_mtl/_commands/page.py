"""A page of HTML in one file: no script, nothing from elsewhere, in light and dark colours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from sk_mtl._commands.figures import Figure

__all__ = [
    "figure_grid",
    "list_facts",
    "paragraphs",
    "section",
    "table",
    "wide_figure",
    "write_page",
]

_STYLE = """
:root { color-scheme: light dark; --text: #1c1e21; --soft: #5a6068; --page: #fdfdfc;
  --line: #d5d8dc; --card: #ffffff; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6e8ea; --soft: #a4abb3; --page: #16181b; --line: #3a3f45; --card: #1d2024; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); line-height: 1.5;
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 72rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .6rem; padding-top: .6rem;
  border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 0 0 .4rem; }
p { margin: .4rem 0; max-width: 46rem; overflow-wrap: anywhere; }
.soft { color: var(--soft); font-size: .9rem; }
nav { display: flex; flex-wrap: wrap; gap: .1rem .9rem; }
nav a { color: inherit; }
dl { display: grid; grid-template-columns: minmax(7rem, max-content) 1fr; gap: .25rem 1.2rem;
  margin: .5rem 0; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
.grid { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .4rem;
  padding: .7rem; min-width: 0; }
figure { margin: 0; }
figure svg { display: block; width: 100%; height: auto; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem;
  font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .2rem .4rem; vertical-align: top; font-weight: normal; }
th:first-child, th.words, td.words { text-align: left; overflow-wrap: anywhere; }
th:first-child { min-width: 7rem; }
thead th { color: var(--soft); border-bottom: 1px solid var(--line); }
tr.mean th, tr.mean td { border-top: 1px solid var(--line); font-weight: 600; }
.interval { display: block; color: var(--soft); font-size: .85em; font-weight: normal; }
td { white-space: nowrap; }
td.words { white-space: normal; }
"""


def write_page(title: str, subtitle: str, sections: Sequence[tuple[str, str, str]]) -> str:
    """Return a page of sections (anchor, heading, content as HTML)."""
    links = "".join(f'<a href="#{anchor}">{escape(head)}</a>' for anchor, head, _ in sections)
    body = "".join(section(anchor, head, content) for anchor, head, content in sections)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        f'<h1>{escape(title)}</h1>\n<p class="soft">{escape(subtitle)}</p>\n'
        f'<nav class="soft" aria-label="Sections">{links}</nav>\n{body}</main>\n</body>\n</html>\n'
    )


def section(anchor: str, heading: str, content: str) -> str:
    """Return a section with its heading."""
    return f'<section id="{anchor}">\n<h2>{escape(heading)}</h2>\n{content}\n</section>\n'


def paragraphs(sentences: Iterable[str]) -> str:
    """Return texts as paragraphs."""
    return "".join(f'<p class="soft">{escape(text)}</p>' for text in sentences)


def list_facts(facts: Iterable[tuple[str, str]]) -> str:
    """Return names and values as a list."""
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts)
    return f"<dl>{rows}</dl>"


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    words: Sequence[int] = (),
    last_is_mean: bool = False,
) -> str:
    """Return a table; columns in `words` hold text, and the second line of a cell an interval."""
    cells = "".join(
        f'<th scope="col"{_class_of(j, words)}>{escape(text)}</th>' for j, text in enumerate(head)
    )
    lines = []
    for i, row in enumerate(rows):
        kind = ' class="mean"' if last_is_mean and i == len(rows) - 1 else ""
        rest = "".join(
            f"<td{_class_of(j, words)}>{_write_cell(text)}</td>"
            for j, text in enumerate(row[1:], start=1)
        )
        lines.append(f'<tr{kind}><th scope="row">{escape(row[0])}</th>{rest}</tr>')
    return f"<table><thead><tr>{cells}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _class_of(column: int, words: Sequence[int]) -> str:
    return ' class="words"' if column in words else ""


def _write_cell(text: str) -> str:
    first, _, second = text.partition("\n")
    return escape(first) + (f'<span class="interval">{escape(second)}</span>' if second else "")


def figure_grid(figures: Iterable[Figure]) -> str:
    """Return figures side by side, as many as the page has room for."""
    cards = "".join(f'<figure class="card">{figure.svg}</figure>' for figure in figures)
    return f'<div class="grid">{cards}</div>'


def wide_figure(figure: Figure) -> str:
    """Return a figure that is scrolled where the page is too narrow for it."""
    sized = f'<figure style="width: {figure.width}px">{figure.svg}</figure>'
    return f'<div class="wide card">{sized}</div>'
