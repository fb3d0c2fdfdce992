"""A process that writes until it is told to stop, or killed: `python writer.py STORE LEDGER PREFIX COUNT`.

Prints `ack PREFIX/N @SEQ` for each record that was acknowledged, several at a time under way.
"""

from __future__ import annotations

import asyncio
import sys

from ledger import AsyncLedger

AT_ONCE = 8


async def main(store: str, ledger: str, prefix: str, count: int) -> None:
    async with AsyncLedger.open(store, ledger) as book:
        numbers = iter(range(count))

        async def write() -> None:
            for number in numbers:
                key = f"{prefix}/{number}"
                result = await book.record("belief", {"n": number}, key=key, idempotency_key=key)
                print(f"ack {key} {result.entry}", flush=True)

        await asyncio.gather(*(write() for _ in range(AT_ONCE)))


if __name__ == "__main__":
    store, ledger, prefix, count = sys.argv[1:]
    asyncio.run(main(store, ledger, prefix, int(count)))
