"""Formulas as drawings: readable without a network, JavaScript, or a font for mathematics.

Browsers show MathML, but many machines have no font for it, and then subscripts come out as
ordinary letters. So matplotlib draws each formula while the pages are built, as outlines in inline
SVG, which take the colour of the text. The MathML stays in the page, hidden, for screen readers and
for browsers without styles. A formula that matplotlib cannot draw is shown as MathML.
"""

import re
from functools import cache

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path
from matplotlib.textpath import TextPath
from sphinx.util import logging

UNITS = 1000  # per em
SCALE = 1.06  # STIX has smaller letters than the sans-serif text around it
FONT = FontProperties(family="STIXGeneral", math_fontfamily="stix")
# Sums with their limits and logarithms have a thin space on both sides, except beside brackets.
LIMITS = r"(?:\s*[_^](?:\{[^{}]*\}|\w))*+"
OPERATOR = rf"(?P<operator>\\sum(?![A-Za-z]){LIMITS}|\\log(?![A-Za-z]))(?!\s*(?:\(|\\left))"
COMMANDS = {  # what matplotlib draws under another name
    r"\ge": r"\geq",
    r"\le": r"\leq",
    r"\ne": r"\neq",
    r"\tfrac": r"\frac",
}


def setup(app):
    """Offer this as a renderer of formulas: html_math_renderer = "drawn"."""
    app.add_html_math_renderer("drawn", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def visit_inline(translator, node):
    """Write a formula in a line of text."""
    translator.body.append(f'<span class="formula">{render(node, as_block=False)}</span>')
    raise nodes.SkipNode


def visit_block(translator, node):
    """Write a displayed formula, with its number if it has a label."""
    number = f'<span class="eqno">({node["number"]})</span>' if node["number"] else ""
    anchor = f' id="{node["ids"][0]}"' if node["ids"] else ""
    formula = render(node, as_block=True)
    translator.body.append(f'<div class="formula"{anchor}>{number}{formula}</div>')
    raise nodes.SkipNode


def render(node, as_block):
    """Return the HTML of a formula: its drawing, and its MathML for those who do not see it."""
    tex = " ".join(node.astext().split())
    mathml = to_mathml(tex, as_block, node)
    try:
        drawing = draw(tex, as_block)
    except ValueError as error:
        logging.getLogger(__name__).info("formula is not drawn: %s", error, location=node)
        return mathml
    return f'{drawing}<span class="formula-source">{mathml}</span>'


def to_mathml(tex, as_block, node=None):
    """Return a formula as MathML that holds its TeX source as an annotation."""
    try:
        mathml = tex2mathml(tex, as_block=as_block)
    except MathError as error:
        logging.getLogger(__name__).warning("formula: %s", error, location=node)
        return f"<code>{escape(tex)}</code>"
    start, content, end = re.fullmatch(r"\s*(<math[^>]*>)(.*)(</math>)\s*", mathml, re.S).groups()
    source = f'<annotation encoding="application/x-tex">{escape(tex)}</annotation>'
    return f"{start}<semantics><mrow>{content}</mrow>{source}</semantics>{end}"


@cache
def draw(tex, as_block):
    """Return a formula as an SVG element; ValueError if matplotlib does not know a sign."""
    path = TextPath((0, 0), f"${for_matplotlib(tex, as_block)}$", size=UNITS, prop=FONT)
    box = path.get_extents()
    left, bottom, right, top = box.x0 - 30, box.y0 - 30, box.x1 + 30, box.y1 + 30
    width, height = right - left, top - bottom
    style = f"width:{SCALE * width / UNITS:.3f}em;vertical-align:{SCALE * bottom / UNITS:.3f}em"
    return (
        f'<svg class="formula-drawing" aria-hidden="true" style="{style}" '
        f'viewBox="{left:.0f} {-top:.0f} {width:.0f} {height:.0f}">'
        f'<path d="{outline(path)}"/></svg>'
    )


def for_matplotlib(tex, as_block):
    """Return the TeX that matplotlib draws as LaTeX would draw the formula."""
    tex = re.sub(r"\\[A-Za-z]+", lambda command: COMMANDS.get(command[0], command[0]), tex)
    tex = re.sub(r"\\frac\s*(\w)\s*(\w)", r"\\frac{\1}{\2}", tex)  # LaTeX needs no braces here
    tex = re.sub(
        OPERATOR, r"\g<operator>\\,", re.sub(rf"(?<=[\w}}])\s*(?={OPERATOR})", r"\\,", tex)
    )
    if not as_block:
        return re.sub(r"\\sum(?![A-Za-z])", r"{\\sum}", tex)  # limits beside the sign
    parts, depth = [], 0  # fractions that are not inside others are large
    for part in re.split(r"(\\frac(?![A-Za-z])|[{}])", tex):
        depth += (part == "{") - (part == "}")
        parts.append(r"\dfrac" if part == r"\frac" and depth == 0 else part)
    return "".join(parts)


def outline(path):
    """Return a path in SVG's notation, with the vertical axis downwards."""
    letters = {Path.MOVETO: "M", Path.LINETO: "L", Path.CURVE3: "Q", Path.CURVE4: "C"}
    pieces = []
    for vertices, code in path.iter_segments(simplify=False):
        if code == Path.CLOSEPOLY:
            pieces.append("Z")
        elif code in letters:
            flipped = vertices.reshape(-1, 2) * (1, -1)
            pieces.append(letters[code] + " ".join(f"{number:.0f}" for number in flipped.ravel()))
    return "".join(pieces)


def escape(text):
    """Return text with the characters that HTML reserves replaced."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
