"""The clients of an Obol server: one that waits, one for asyncio."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ._async_resources import AsyncResources
from ._errors import InvalidArgumentError
from ._exchange import Ending
from ._follow import CreditsUpdate, follow_credits
from ._planning import AsyncPlanning, Planning
from ._request import NOT_GIVEN, CallOptions, NotGiven, Request
from ._resources import Resources
from ._transport import CallEndedError, Transport

_MAX_CONNECTIONS = 32


class Obol(Resources, Planning):
    """A client: `Obol(base_url=…, api_key=…)`. Threads may share it; `with` closes its connections.

    A customer's key reads its own account; the operator's key may do everything, and belongs on the operator's servers alone.
    """

    def __init__(
        self,
        base_url: str | None,
        api_key: str | Callable[[], str] | None,
        *,
        timeout: float = 30.0,
        max_retries: int = 2,
        headers: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._transport = Transport(base_url, api_key, timeout=timeout, max_retries=max_retries, headers=headers, tls=tls)
        super().__init__(self._transport.call)

    def follow_credits(self, *, account: str | NotGiven = NOT_GIVEN, after: str | NotGiven = NOT_GIVEN) -> Iterator[CreditsUpdate]:
        """What the account has: at once as it is, and then each time that it changes, within a fraction of a second, for ever.

        One connection is kept for it, and made again when it breaks; a key that does not work any more ends it with the server's error.
        `after`: the `id` of the last update that an earlier reader saw.
        """
        return follow_credits(self._transport, account, after, Ending())

    def close(self) -> None:
        """Closes connections that are kept."""
        self._transport.close()

    def __enter__(self) -> Obol:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncObol(AsyncResources, AsyncPlanning):
    """The client for asyncio. Each call runs in a thread of the client's own; cancelling one breaks its connection off."""

    def __init__(
        self,
        base_url: str | None,
        api_key: str | Callable[[], str] | None,
        *,
        timeout: float = 30.0,
        max_retries: int = 2,
        headers: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        max_connections: int = _MAX_CONNECTIONS,
    ) -> None:
        self._transport = Transport(base_url, api_key, timeout=timeout, max_retries=max_retries, headers=headers, tls=tls)
        if max_connections < 1:
            raise InvalidArgumentError(f"max_connections is {max_connections}: give 1 or more.")
        self._threads = ThreadPoolExecutor(max_connections, thread_name_prefix="obol")
        super().__init__(self._call_in_thread)

    async def _call_in_thread(self, request: Request, result: Any, options: CallOptions | None) -> Any:
        ending = Ending()
        running = self._threads.submit(self._transport.call, request, result, options, ending)
        try:
            return await asyncio.wrap_future(running)
        except asyncio.CancelledError:
            running.cancel()
            ending.end()
            raise
        except CallEndedError as cause:
            raise asyncio.CancelledError from cause

    async def follow_credits(
        self, *, account: str | NotGiven = NOT_GIVEN, after: str | NotGiven = NOT_GIVEN
    ) -> AsyncIterator[CreditsUpdate]:
        """What the account has: at once as it is, and then each time that it changes, within a fraction of a second, for ever.

        One connection is kept for it, and made again when it breaks; a key that does not work any more ends it with the server's error.
        `after`: the `id` of the last update that an earlier reader saw.
        """
        ending = Ending()
        updates = follow_credits(self._transport, account, after, ending)
        # A thread of its own: those of the calls are for what ends.
        thread = ThreadPoolExecutor(1, thread_name_prefix="obol-follow")
        try:
            while True:
                yield await asyncio.wrap_future(thread.submit(next, updates))
        finally:
            ending.end()
            thread.submit(updates.close)
            thread.shutdown(wait=False)

    async def aclose(self) -> None:
        """Closes connections that are kept, and ends the threads."""
        self._transport.close()
        await asyncio.get_running_loop().run_in_executor(None, self._threads.shutdown)

    async def __aenter__(self) -> AsyncObol:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
