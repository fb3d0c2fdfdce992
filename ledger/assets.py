"""Files that are not Python: found beside the package in a wheel, at the repository's root in a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def asset(*parts: str) -> Path:
    """The path of an asset, such as `asset("cypher", "queries")`. Raises FileNotFoundError when it is missing."""
    for root in (_PACKAGE / "_assets", _PACKAGE.parent):
        path = root.joinpath(*parts)
        if path.exists():
            return path
    raise FileNotFoundError(f"asset {'/'.join(parts)} is neither in {_PACKAGE}/_assets nor beside the package")
