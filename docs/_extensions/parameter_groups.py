"""Headings between the groups of a long list of parameters.

The docstring of an estimator with many parameters names the group of each one in front of its
description: "Network: widths of the shared hidden layers". On the page, each group gets a heading,
and a line at the top links to the headings. Each parameter of a class has an anchor.
"""

import re

from docutils import nodes

PREFIX = re.compile(r"(?P<group>[A-Z][a-z]+(?: [a-z]+){0,2}): +")
FEWEST = 3  # groups for which headings are worth it


def setup(app):
    """Run when a page has been read, after numpydoc."""
    app.connect("doctree-read", divide_parameters, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def divide_parameters(app, doctree):
    """Divide the parameters of each class on a page by their groups."""
    for field in list(doctree.findall(nodes.field)):
        described = field.parent.parent.parent  # the field list, the content, the object
        if field[0].astext() != "Parameters" or described.get("objtype") != "class":
            continue
        items = [
            item
            for listed in field[1]
            for item in listed
            if isinstance(listed, nodes.definition_list)
        ]
        for item in items:
            add_anchor(item)
        groups = gather_groups(items)
        if len(groups) >= FEWEST:
            prefix = nodes.make_id(described[0]["ids"][0])
            field[1].children = []
            field[1] += make_divided(groups, prefix)


def add_anchor(item):
    """Give a parameter an anchor: #parameter-epochs."""
    parameter = next(iter(item.findall(nodes.strong))).astext()
    item[0]["ids"].append(nodes.make_id(f"parameter-{parameter}"))


def gather_groups(items):
    """Return the items by group, in order; one without a prefix belongs to the group before it."""
    groups = {}
    group = None
    for item in items:
        match = PREFIX.match(first_text(item))
        group = match["group"] if match else group
        groups.setdefault(group, []).append(item)
    return {} if None in groups else groups


def first_text(item):
    """Return the text with which the description of a parameter begins."""
    return next(
        iter(next(iter(item.findall(nodes.definition))).findall(nodes.Text)), nodes.Text("")
    )


def make_divided(groups, prefix):
    """Return the line of links, then a heading and a list of parameters for each group."""
    links = nodes.paragraph(classes=["parameter-groups"])
    result = [links]
    for group, items in groups.items():
        anchor = f"{prefix}-{nodes.make_id(group)}"
        links += [nodes.Text(" · "), nodes.reference("", group, internal=True, refid=anchor)]
        for item in items:
            text = first_text(item)
            if match := PREFIX.match(text):
                rest = text[match.end() :]
                text.parent.replace(text, nodes.Text(rest[:1].upper() + rest[1:]))
        heading = nodes.rubric("", group, ids=[anchor], classes=["parameter-group"])
        result += [heading, nodes.definition_list("", *items)]
    links.pop(0)
    return result
