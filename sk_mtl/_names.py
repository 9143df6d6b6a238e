"""Names: suggestions for mistyped ones.

Owns which names are near. Does not know which names exist.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["did_you_mean", "suggest_name"]

# The time to compare two names grows with the square of their length.
_MAX_LENGTH = 100


def suggest_name(name: str, known: Iterable[str]) -> str | None:
    """Return the known name nearest to a mistyped one; swapped letters and initials are near."""
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
    """Return the hint of an error, such as ``" Did you mean 'adam'?"``, or an empty string."""
    if not isinstance(name, str) or len(name) > _MAX_LENGTH:
        return ""
    words = [word for word in known if isinstance(word, str) and len(word) <= _MAX_LENGTH]
    nearest = suggest_name(name, words)
    return f" Did you mean {nearest!r}?" if nearest is not None else ""
