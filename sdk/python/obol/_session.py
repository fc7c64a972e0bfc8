"""People who sign in: a session gives the access token that calls are sent with, and gets the next one in time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from ._client import Obol
from ._request import NOT_GIVEN, NotGiven
from ._shapes import Tokens

__all__ = ["Session"]

#: So much earlier than it ends is an access token replaced, in seconds.
_EARLY = 30.0


class Session:
    """A user who is signed in: `Obol(base_url, session.key)`. Threads may share it.

    Refreshes are made one at a time and sent once: the server takes a refresh token that comes twice for a stolen one, and ends the
    session. `on_tokens` is told of each new pair: whoever keeps refresh tokens keeps the new one.
    """

    def __init__(self, base_url: str, tokens: Tokens, *, on_tokens: Callable[[Tokens], None] | None = None, **options: Any) -> None:
        """Goes on with tokens of before: those of an invitation that was accepted, or those that were kept."""
        self._obol = Obol(base_url, None, **options)
        self._on_tokens = on_tokens
        self._lock = threading.Lock()
        self._keep(tokens)

    @classmethod
    def sign_in(
        cls,
        base_url: str,
        *,
        email: str,
        password: str,
        account: str | NotGiven = NOT_GIVEN,
        on_tokens: Callable[[Tokens], None] | None = None,
        **options: Any,
    ) -> Session:
        """Signs in with e-mail address and password."""
        with Obol(base_url, None, **options) as obol:
            tokens = obol.auth.sign_in(email=email, password=password, account=account)
        if on_tokens is not None:
            on_tokens(tokens)
        return cls(base_url, tokens, on_tokens=on_tokens, **options)

    @property
    def tokens(self) -> Tokens:
        """The tokens of the moment."""
        return self._tokens

    def key(self) -> str:
        """Gives an access token that works: for `api_key`. Raises what the server says when the session is over."""
        with self._lock:
            if time.monotonic() >= self._fresh_until:
                tokens = self._obol.auth.refresh(refresh_token=self._tokens.refresh_token)
                self._keep(tokens)
                if self._on_tokens is not None:
                    self._on_tokens(tokens)
            return self._tokens.access_token

    def sign_out(self) -> None:
        """Ends the session on the server."""
        self._obol.auth.sign_out(refresh_token=self._tokens.refresh_token)
        self._obol.close()

    def _keep(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._fresh_until = time.monotonic() + tokens.expires_in - _EARLY
