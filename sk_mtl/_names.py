"""Names: what a mistyped one may have meant.

Owns what counts as near. Does not know which names there are.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["did_you_mean", "suggest_name"]


def suggest_name(name: str, known: Iterable[str]) -> str | None:
    """Find the known name nearest to a mistyped one.

    Parameters
    ----------
    name : str
        What the user wrote.
    known : iterable of str
        What could have been meant.

    Returns
    -------
    nearest : str or None
        The nearest known name, None if none is near. Swapped letters and initials count as near.

    Examples
    --------
    >>> from sk_mtl._names import suggest_name
    >>> suggest_name("learing_rate", ["learning_rate", "clipnorm"])
    'learning_rate'
    >>> suggest_name("lr", ["learning_rate", "clipnorm"])
    'learning_rate'
    """
    by_lower = {candidate.lower(): candidate for candidate in known}
    for lower, candidate in by_lower.items():
        if sorted(lower) == sorted(name.lower()):
            return candidate
    near = difflib.get_close_matches(name.lower(), by_lower, n=1)
    if near:
        return by_lower[near[0]]
    for lower, candidate in by_lower.items():
        if "_" in lower and name.lower() == "".join(part[:1] for part in lower.split("_")):
            return candidate
    return None


def did_you_mean(name: object, known: Iterable[object]) -> str:
    """Return the part of an error that names the nearest right name.

    Parameters
    ----------
    name : object
        What the user wrote.
    known : iterable
        What could have been meant.

    Returns
    -------
    hint : str
        Such as ``" Did you mean 'adam'?"``; empty if nothing is near, or it is no text.
    """
    if not isinstance(name, str):
        return ""
    nearest = suggest_name(name, [candidate for candidate in known if isinstance(candidate, str)])
    return f" Did you mean {nearest!r}?" if nearest is not None else ""
