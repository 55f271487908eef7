"""Apikit's two doors: a method on this thread, and its twin in a task."""

import asyncio
from typing import Any, Literal

from apikit_sql import Apikit

Door = Literal["sync", "async"]
DOORS: tuple[Door, ...] = ("sync", "async")


def call(door: Door, client: Apikit, method: str, *args: Any, **options: Any) -> Any:
    """What the method, or its twin, gives."""
    if door == "sync":
        return getattr(client, method)(*args, **options)

    async def twin() -> Any:
        return await getattr(client, "a" + method)(*args, **options)

    return asyncio.run(twin())


def first(door: Door, client: Apikit, most: int, *args: Any, **options: Any) -> list[Any]:
    """The first records of a stream, which is then broken off; all where there are fewer."""
    found: list[Any] = []
    if door == "sync":
        for record in client.stream(*args, **options):
            found.append(record)
            if len(found) == most:
                break
        return found

    async def twin() -> list[Any]:
        async for record in client.astream(*args, **options):
            found.append(record)
            if len(found) == most:
                break
        return found

    return asyncio.run(twin())
