"""Says what the SDK has, and calls every operation with both clients: the conformance test reads it. Lines of JSON."""

from __future__ import annotations

import asyncio
import inspect
import json
from typing import Any

import obol
from obol import _problems
from obol._exchange import Connections

from .every_operation import call_every_operation
from .server import OPERATOR_KEY, URL, async_operator, operator

_exchange = Connections.exchange


def _record(client: str) -> None:
    def exchange(self: Connections, method: str, target: str, *rest: Any) -> Any:
        print(json.dumps({"client": client, "method": method, "path": target.split("?")[0]}))
        return _exchange(self, method, target, *rest)

    Connections.exchange = exchange  # type: ignore[method-assign]


async def _passed_on(value: Any) -> Any:
    return value


async def _awaited(value: Any) -> Any:
    return await value


def _methods(client: Any) -> list[str]:
    resources = {name: resource for name, resource in vars(client).items() if not name.startswith("_")}
    return [f"{name}.{method}" for name, resource in resources.items() for method, _ in inspect.getmembers(resource, inspect.ismethod)]


async def _main() -> None:
    clients = {"sync": operator(), "async": async_operator()}
    print(json.dumps({"methods": {name: _methods(client) for name, client in clients.items()}}))
    print(json.dumps({"problems": list(_problems.PROBLEM_CLASSES)}))
    _record("sync")
    with operator() as client:
        await call_every_operation(
            client, lambda key: obol.Obol(URL, key), "sync@example.com", _passed_on, lambda pages: _passed_on(pages.page())
        )
    _record("async")
    async with async_operator() as waiting:
        await call_every_operation(
            waiting, lambda key: obol.AsyncObol(URL, key), "async@example.com", _awaited, lambda pages: pages.page()
        )


assert OPERATOR_KEY
asyncio.run(_main())
