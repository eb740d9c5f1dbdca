"""Tables as Parquet, by pyarrow, which is installed with `jangbu[parquet]`."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC
from importlib import import_module
from typing import Any

from jangbu.errors import NotOffered
from jangbu.metering.exports.tables import Column, Kind, Page, Table

__all__ = ["parquet"]

_GROUP_ROWS = 10_000
"""How many rows are written together: fewer make a larger file, more take more memory."""


def parquet(table: Table) -> AsyncIterator[bytes]:
    """Write a table as Parquet, group by group. Raises NotOffered where pyarrow is not installed."""
    try:
        import_module("pyarrow.parquet")
    except ImportError:
        raise NotOffered(
            "Parquet is not offered here: pyarrow is not installed", hint="install jangbu[parquet], or ask for csv"
        ) from None
    return _pieces(table)


async def _pieces(table: Table) -> AsyncIterator[bytes]:
    file = _File(table)
    # Whoever waits for a file sees that it comes: a group may take long to fill.
    yield file.taken()
    waiting: list[tuple[Any, ...]] = []
    async for page in table.pages:
        waiting += page
        if len(waiting) >= _GROUP_ROWS:
            yield await asyncio.to_thread(file.group, waiting)
            waiting = []
    yield await asyncio.to_thread(file.end, waiting)


class _File:
    """A Parquet file as it grows. Where ``end`` is never called it has no end, and no reader takes it for a file."""

    def __init__(self, table: Table) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        facts = {"jangbu.time_zone": table.zone.key, "jangbu.as_of": table.as_of.astimezone(UTC).isoformat()}
        zone = table.zone.key
        self._schema = pa.schema([(each.name, _type(each, zone)) for each in table.columns], metadata=facts)
        self._sink = _Sink()
        self._writer = pq.ParquetWriter(pa.PythonFile(self._sink, mode="w"), self._schema, compression="zstd")

    def taken(self) -> bytes:
        """Give the bytes of the file since the last time."""
        return self._sink.taken()

    def group(self, rows: Page) -> bytes:
        """Write a group of rows; give the bytes of the file since the last time."""
        import pyarrow as pa

        columns = list(zip(*rows, strict=True)) if rows else [() for _ in self._schema]
        arrays = [pa.array(column, each.type) for column, each in zip(columns, self._schema, strict=True)]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
        return self.taken()

    def end(self, rows: Page) -> bytes:
        """Write the last rows and the end of the file; give the bytes since the last time."""
        written = self.group(rows)
        self._writer.close()
        return written + self.taken()


def _type(column: Column, zone: str) -> Any:
    import pyarrow as pa

    match column.kind:
        case Kind.INTEGER:
            return pa.int64()
        case Kind.MOMENT:
            return pa.timestamp("us", tz=zone)
        case Kind.WORDS:
            return pa.list_(pa.string())
        case Kind.TEXT:
            return pa.string()


class _Sink:
    """What a file is written to: it keeps only what was not taken yet."""

    closed = False

    def __init__(self) -> None:
        self._kept = bytearray()
        self._taken = 0

    def write(self, data: Any) -> int:
        """Take some more bytes."""
        self._kept += data
        return len(data)

    def tell(self) -> int:
        """Give how many bytes were written in all."""
        return self._taken + len(self._kept)

    def flush(self) -> None:
        """Do nothing: what is written is there to be taken."""

    def close(self) -> None:
        """End the file."""
        self.closed = True

    def taken(self) -> bytes:
        """Give what was written since the last time."""
        data = bytes(self._kept)
        self._kept.clear()
        self._taken += len(data)
        return data
