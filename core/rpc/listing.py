"""Long lists as results: made, filtered and written in pieces, so that the loop never waits for one.

`listchannels` of mainnet has a hundred thousand rows and some 50 MB of text.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from core.rpc.filters import WARNING, Filter, apply_filter
from core.rpc.framing import compact, encode_text

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rows:
    """A result whose only member is a list; to be read once."""

    name: str
    batches: AsyncIterator[list[Row]]
    """Few rows each, with a turn of the loop between them."""

    async def filtered(self, wanted: Filter) -> Row:
        """What `apply_filter` would give of the whole."""
        kept = apply_filter({self.name: []}, wanted)
        async for batch in self.batches:
            part = apply_filter({self.name: batch}, wanted)
            if self.name in kept and self.name in part:
                kept[self.name] += part[self.name]
            if WARNING in part:
                kept.setdefault(WARNING, part[WARNING])
        return kept

    async def encoded(self, request_id: str) -> list[bytes]:
        """The whole reply in pieces; `request_id` is the id as it was written."""
        pieces = [encode_text(f'{{"jsonrpc":"2.0","id":{request_id},"result":{{{compact(self.name)}:[')]
        async for batch in self.batches:
            if batch:
                comma = "," if len(pieces) > 1 else ""
                pieces.append(encode_text(comma + compact(batch)[1:-1]))
        return [*pieces, b"]}}\n\n"]
