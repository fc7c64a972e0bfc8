"""Lists that are read page by page, and exports. Nothing is asked before somebody wants to know."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar
from urllib.parse import parse_qs, urlsplit

from ._errors import UnexpectedAnswerError
from ._json import decode
from ._request import NOT_GIVEN, AnswerFacts, AsyncCall, Call, CallOptions, Request

Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class Page(Generic[Item]):
    """One page of a list."""

    data: Sequence[Item]
    has_more: bool
    #: Goes on from here; None: there is no more.
    next_cursor: str | int | None


def _page(body: Mapping[str, Any], item: Any) -> Page[Any]:
    return Page(data=decode(Sequence[item], body["data"]), has_more=body["has_more"], next_cursor=body["next_cursor"])


def _after(request: Request, page: Page[Any], cursor: str | int | None) -> Request | None:
    """What the next page is asked with; None: this was the last."""
    if not page.has_more or page.next_cursor is None:
        return None
    if page.next_cursor == cursor:
        raise UnexpectedAnswerError(f"{request.path} leads from a page to the same page.", 200)
    is_backwards = request.query.get("ending_before", NOT_GIVEN) is not NOT_GIVEN
    direction = "ending_before" if is_backwards else "starting_after"
    return replace(request, query={**request.query, direction: page.next_cursor})


class Pages(Generic[Item]):
    """A list: iterating reads all of it; `page()` reads one page."""

    def __init__(self, call: Call, request: Request, item: type[Item], options: CallOptions | None) -> None:
        self._call = call
        self._request = request
        self._item = item
        self._options = options

    def page(self) -> Page[Item]:
        """The first page, from where the query says."""
        return _page(self._call(self._request, dict, self._options), self._item)

    def pages(self) -> Iterator[Page[Item]]:
        """Every page from the first on. With `ending_before` in the query, it goes back to newer ones."""
        request: Request | None = self._request
        cursor: str | int | None = None
        while request is not None:
            page = _page(self._call(request, dict, self._options), self._item)
            yield page
            request, cursor = _after(request, page, cursor), page.next_cursor

    def __iter__(self) -> Iterator[Item]:
        for page in self.pages():
            yield from page.data


class AsyncPages(Generic[Item]):
    """A list: `async for` reads all of it; `await page()` reads one page."""

    def __init__(self, call: AsyncCall, request: Request, item: type[Item], options: CallOptions | None) -> None:
        self._call = call
        self._request = request
        self._item = item
        self._options = options

    async def page(self) -> Page[Item]:
        """The first page, from where the query says."""
        return _page(await self._call(self._request, dict, self._options), self._item)

    async def pages(self) -> AsyncIterator[Page[Item]]:
        """Every page from the first on. With `ending_before` in the query, it goes back to newer ones."""
        request: Request | None = self._request
        cursor: str | int | None = None
        while request is not None:
            page = _page(await self._call(request, dict, self._options), self._item)
            yield page
            request, cursor = _after(request, page, cursor), page.next_cursor

    async def __aiter__(self) -> AsyncIterator[Item]:
        async for page in self.pages():
            for item in page.data:
                yield item


_NEXT = re.compile(r'<([^>]*)>\s*;\s*rel="?next"?')


class _Hearing:
    """Hears where an export goes on, and passes the answer on."""

    def __init__(self, options: CallOptions | None) -> None:
        given = options or CallOptions()
        self._listener = given.on_answer
        self._link = ""
        self.options = replace(given, on_answer=self._hear)

    def _hear(self, facts: AnswerFacts) -> None:
        self._link = facts.headers.get("link", "")
        if self._listener is not None:
            self._listener(facts)

    def after(self, request: Request) -> Request | None:
        """What the next part is asked with; None: this was the last."""
        match = _NEXT.search(self._link)
        if match is None:
            return None
        query = {name: texts for name, texts in parse_qs(urlsplit(match[1]).query).items() if name != "format"}
        if query == request.query:
            raise UnexpectedAnswerError(f"{request.path} leads from a part to the same part.", 200)
        return replace(request, query=query)


def _part(text: str, is_first: bool) -> str:
    """The line of names is in the first part alone."""
    return text if is_first else text[text.index("\n") + 1 :]


class CsvPages:
    """An export: iterating gives parts that make one file together, `text()` the whole file."""

    def __init__(self, call: Call, request: Request, options: CallOptions | None) -> None:
        self._call = call
        self._request = request
        self._options = options

    def __iter__(self) -> Iterator[str]:
        request: Request | None = self._request
        is_first = True
        while request is not None:
            hearing = _Hearing(self._options)
            yield _part(self._call(request, str, hearing.options), is_first)
            request, is_first = hearing.after(request), False

    def text(self) -> str:
        """The whole file."""
        return "".join(self)


class AsyncCsvPages:
    """An export: `async for` gives parts that make one file together, `await text()` the whole file."""

    def __init__(self, call: AsyncCall, request: Request, options: CallOptions | None) -> None:
        self._call = call
        self._request = request
        self._options = options

    async def __aiter__(self) -> AsyncIterator[str]:
        request: Request | None = self._request
        is_first = True
        while request is not None:
            hearing = _Hearing(self._options)
            yield _part(await self._call(request, str, hearing.options), is_first)
            request, is_first = hearing.after(request), False

    async def text(self) -> str:
        """The whole file."""
        return "".join([part async for part in self])
