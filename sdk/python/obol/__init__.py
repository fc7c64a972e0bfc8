"""The client of Obol, the credits server for AI APIs.

    from obol import Obol

    obol = Obol(base_url="https://credits.example.com", api_key=key)
    print(obol.credits.get().credit_types["credits"].available)
"""

from . import _afford, _errors, _follow, _problems, _session, _shapes, _usage_summary, _watch, webhooks
from ._afford import *  # noqa: F403
from ._answers import outcome_error
from ._client import AsyncObol, Obol
from ._errors import *  # noqa: F403
from ._follow import *  # noqa: F403
from ._pages import AsyncCsvPages, AsyncPages, CsvPages, Page, Pages
from ._problems import *  # noqa: F403
from ._request import NOT_GIVEN, AnswerFacts, CallOptions, NotGiven
from ._session import *  # noqa: F403
from ._shapes import *  # noqa: F403
from ._usage_summary import *  # noqa: F403
from ._watch import *  # noqa: F403
from .webhooks import *  # noqa: F403

__version__ = "0.1.0"

__all__ = [
    "NOT_GIVEN",
    "AnswerFacts",
    "AsyncCsvPages",
    "AsyncObol",
    "AsyncPages",
    "CallOptions",
    "CsvPages",
    "NotGiven",
    "Obol",
    "Page",
    "Pages",
    "outcome_error",
]
__all__ += _afford.__all__
__all__ += _errors.__all__
__all__ += _follow.__all__
__all__ += _problems.__all__
__all__ += _session.__all__
__all__ += _shapes.__all__
__all__ += _usage_summary.__all__
__all__ += _watch.__all__
__all__ += webhooks.__all__
