"""The `curl` of documents, for where there is none: as much of it as they use."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import httpx


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("-s", action="store_true")
    parser.add_argument("-H", action="append", default=[], dest="headers")
    parser.add_argument("--json")
    parser.add_argument("--data-binary")
    asked = parser.parse_args()
    headers = dict(header.split(": ", 1) for header in asked.headers)
    body = asked.json
    if body is not None:
        headers["Content-Type"] = "application/json"
    elif asked.data_binary is not None:
        body = Path(asked.data_binary.removeprefix("@")).read_bytes()
    answer = httpx.request("GET" if body is None else "POST", asked.url, content=body, headers=headers)
    sys.stdout.write(answer.text)


if __name__ == "__main__":
    main()
