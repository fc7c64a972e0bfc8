"""Work of several calls, written once for both clients: a generator that yields what each call gives, and whoever waits for it."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar

Result = TypeVar("Result")

#: Yields what a call of the client gave: a value, or something to await.
Steps = Generator[Any, Any, Result]


def run(steps: Steps[Result]) -> Result:
    """Runs steps whose calls give values."""
    value: Any = None
    while True:
        try:
            value = steps.send(value)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


async def run_async(steps: Steps[Result]) -> Result:
    """Runs steps whose calls are awaited."""
    try:
        waiting = steps.send(None)
        while True:
            try:
                value = await waiting
            except Exception as fault:
                waiting = steps.throw(fault)
            else:
                waiting = steps.send(value)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
