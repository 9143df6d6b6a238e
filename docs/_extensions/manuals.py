"""Links to the manuals of other libraries, without downloading anything.

intersphinx resolves names by inventories, which it usually fetches from each manual's site, and
some sites have none. Here the inventories are written from the lists in docs/inventories while the
pages are built.

Names in code font become links as well, in Markdown and in docstrings: `GridSearchCV`,
`keras.Model.fit`, `MultiTaskClassifier.summary`.
"""

import re
import zlib
from collections import defaultdict
from pathlib import Path

from docutils import nodes
from numpydoc.xref import DEFAULT_LINKS
from sphinx.addnodes import desc_signature
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode

LISTS = Path(__file__).parents[1] / "inventories"
NAME = re.compile(r"(?P<name>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)(?:\(\))?")
ROLES = {"attribute", "class", "data", "exception", "function", "method", "module", "property"}
OWN_TYPES = ("sk_mtl.MultiTaskClassifier", "sk_mtl.PerTask")  # in the types of parameters


def setup(app):
    """Register the inventories before numpydoc and intersphinx read their configuration."""
    app.connect("config-inited", write_inventories, priority=400)
    app.add_post_transform(LinkCode)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


# -- Inventories ---------------------------------------------------------------------------------


def write_inventories(app, config):
    """Write each list as an inventory beside the pickled pages; tell intersphinx and numpydoc."""
    folder = Path(app.doctreedir) / "inventories"
    folder.mkdir(parents=True, exist_ok=True)
    mapping, names = {}, list(OWN_TYPES)
    for source in sorted(LISTS.glob("*.txt")):
        address, objects = read_list(source)
        target = folder / f"{source.stem}.inv"
        target.write_bytes(pack_inventory(source.stem, objects))
        mapping[source.stem] = (address, str(target))
        names += [name for role, name, _ in objects if role == "class"]
    config.intersphinx_mapping = mapping
    config.numpydoc_xref_param_type = True
    config.numpydoc_xref_ignore = "all"  # what is not among the aliases
    config.numpydoc_xref_aliases = {
        **{word: word for word in DEFAULT_LINKS},  # `int` and `None` need no explanation
        **{
            form: f":obj:`{form} <{name}>`" for name in names for form in (name, *short_names(name))
        },
    }


def read_list(path):
    """Return the address of a manual and its objects, as (role, name, page)."""
    address, *lines = path.read_text(encoding="utf-8").split("\n")
    objects = []
    for number, line in enumerate(lines, start=2):
        if not line:
            continue
        words = line.split(" ")
        if len(words) != 3 or words[0] not in ROLES or not NAME.fullmatch(words[1]):
            raise ValueError(
                f"{path.name}, line {number}: expected a role, a name and a page, got {line!r}. "
                f"Roles are {', '.join(sorted(ROLES))}."
            )
        role, name, page = words
        objects.append((role, name, page.replace("$", name)))
    return address, objects


def pack_inventory(project, objects):
    """Return an inventory in the format of Sphinx, version 2."""
    header = (
        "# Sphinx inventory version 2\n"
        f"# Project: {project}\n"
        "# Version: \n"
        "# The remainder of this file is compressed using zlib.\n"
    )
    lines = "".join(f"{name} py:{role} 1 {page} -\n" for role, name, page in objects)
    return header.encode() + zlib.compress(lines.encode())


# -- Names in code font --------------------------------------------------------------------------


class LinkCode(SphinxPostTransform):
    """Turn code that is the name of a documented object into a link to it."""

    default_priority = 20  # after the references that the author wrote, which are resolved at 10

    def run(self, **kwargs):
        """Link the names on one page."""
        if not hasattr(self.app, "named_objects"):
            self.app.named_objects = find_objects(self.app)
        for literal in list(self.document.findall(nodes.literal)):
            match = NAME.fullmatch(literal.astext())
            if match is None or is_within(literal, nodes.reference, nodes.title, desc_signature):
                continue
            if (target := self.app.named_objects.get(match["name"])) is None:
                continue
            if target[0] == "own":
                _, page, anchor, name = target
                if page == self.env.docname:
                    continue  # the reader is there already
                reference = make_refnode(self.app.builder, self.env.docname, page, anchor, [], name)
            else:
                _, uri, manual, name = target
                reference = nodes.reference("", "", internal=False, refuri=uri)
                reference["reftitle"] = f"{name} (in {manual})"
            literal.replace_self(reference)
            reference += literal


def is_within(node, *kinds):
    """Return whether a node lies in one of these kinds of nodes."""
    while (node := node.parent) is not None:
        if isinstance(node, kinds):
            return True
    return False


def find_objects(app):
    """Return where each name leads: full names, and endings of names that only one object has."""
    targets = {}
    for source in LISTS.glob("*.txt"):
        address, objects = read_list(source)
        for _, name, page in objects:
            targets[name] = ("other", address + page, source.stem, name)
    for name, entry in app.env.get_domain("py").objects.items():
        targets[name] = ("own", entry.docname, entry.node_id, name)
    endings = defaultdict(set)
    for name, target in targets.items():
        for ending in short_names(name):
            endings[ending].add(target)
    unique = {ending: next(iter(found)) for ending, found in endings.items() if len(found) == 1}
    return unique | targets


def short_names(name):
    """Yield the endings of a name that are hardly meant otherwise.

    `Class`, `Class.method`, and functions of several words, such as `cross_val_score`; but not
    `fit`, `best` or `metrics`.
    """
    parts = name.split(".")
    for start in range(1, len(parts)):
        if parts[start][0].isupper():
            yield ".".join(parts[start:])
            return
    if not any(part[0].isupper() for part in parts[:-1]) and "_" in parts[-1].strip("_")[1:]:
        yield parts[-1]
