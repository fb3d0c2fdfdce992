"""`python -m ledger.api.schema` (or `make schema`) writes the schema to graphql/schema.graphql.

With `--release` also to graphql/released.graphql: what clients out there rely on. A test compares the two, and fails
for a change that would break them.
"""

from __future__ import annotations

import sys

from ledger.api.schema.building import build_schema
from ledger.assets import asset


def main() -> None:
    """Write the files."""
    text = build_schema().as_str() + "\n"
    for name in ("schema", "released") if "--release" in sys.argv[1:] else ("schema",):
        asset("graphql").joinpath(f"{name}.graphql").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
