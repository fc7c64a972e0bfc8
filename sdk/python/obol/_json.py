"""Between Python and JSON: exact amounts, aware times, and shapes. What JSON would change without a word is refused."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import types
import typing
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlencode

from ._errors import InvalidArgumentError
from ._request import NOT_GIVEN

#: Fields below which numbers say how much was used; elsewhere a fraction is credits or a rate, and no float.
_QUANTITIES = frozenset({"quantity", "quantities"})


def write_body(body: Mapping[str, Any]) -> bytes:
    """Writes a body. Raises InvalidArgumentError at the place of what cannot be sent as it is meant."""
    return json.dumps(_encode_fields(body, "", False), allow_nan=False, ensure_ascii=False).encode()


def _encode_fields(fields: Mapping[str, Any], place: str, is_quantity: bool) -> dict[str, Any]:
    return {
        name: _encode(value, f"{place}.{name}" if place else name, is_quantity or name in _QUANTITIES)
        for name, value in fields.items()
        if value is not NOT_GIVEN
    }


def _encode(value: Any, place: str, is_quantity: bool) -> Any:
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, Decimal, float)):
        return _encode_number(value, place, is_quantity)
    if isinstance(value, datetime):
        return _encode_time(value, place)
    if isinstance(value, Mapping):
        return _encode_fields(value, place, is_quantity)
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return [_encode(item, f"{place}.{index}", is_quantity) for index, item in enumerate(value)]
    raise InvalidArgumentError(f"{place} is a {type(value).__name__}, which cannot be sent.")


def _encode_number(value: int | Decimal | float, place: str, is_quantity: bool) -> int | str:
    if isinstance(value, int):
        return value
    if isinstance(value, float) and not is_quantity:
        raise InvalidArgumentError(f"{place} is a float: give Decimal('{value}') or '{value}', so that it stays exact.")
    if not math.isfinite(value):
        raise InvalidArgumentError(f"{place} is {value}, which is no number to send.")
    # The shortest text that is this number, and never with an exponent.
    return f"{Decimal(repr(value)) if isinstance(value, float) else value:f}"


def _encode_time(value: datetime, place: str) -> str:
    if value.tzinfo is None:
        raise InvalidArgumentError(f"{place} has no time zone: give an aware datetime, such as datetime.now(timezone.utc).")
    return value.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def write_query(query: Mapping[str, Any]) -> str:
    """Writes a query, with its `?`; empty when nothing is asked. A list is repeated."""
    pairs: list[tuple[str, Any]] = []
    for name, value in _encode_fields(query, "", False).items():
        for one in value if isinstance(value, list) else [value]:
            if one is None or isinstance(one, dict):
                raise InvalidArgumentError(f"{name} is {one!r}, which cannot be asked for.")
            pairs.append((name, one))
    return f"?{urlencode(pairs)}" if pairs else ""


class UnreadableError(Exception):
    """An answer is not what the API says it is."""


def decode(result: Any, value: Any, place: str = "the answer") -> Any:
    """Reads a value of an answer as a type: amounts as Decimal, times as datetime, shapes as their classes."""
    origin = typing.get_origin(result)
    if origin in (typing.Union, types.UnionType):
        return _decode_union(typing.get_args(result), value, place)
    if origin is not None and value is not None:
        return _decode_container(origin, typing.get_args(result), value, place)
    if dataclasses.is_dataclass(result) and isinstance(result, type):
        return _decode_shape(result, value, place)
    if result is Decimal:
        return _decode_decimal(value, place)
    if result is datetime:
        return _decode_time(value, place)
    return value


def _decode_union(options: tuple[Any, ...], value: Any, place: str) -> Any:
    if value is None:
        return None
    some = [option for option in options if option is not type(None)]
    return decode(some[0], value, place) if len(some) == 1 else value


def _decode_container(origin: Any, inner: tuple[Any, ...], value: Any, place: str) -> Any:
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(value, dict):
            raise UnreadableError(f"{place} is no object")
        return {name: decode(inner[1], item, f"{place}.{name}") for name, item in value.items()}
    if isinstance(origin, type) and issubclass(origin, Sequence):
        if not isinstance(value, list):
            raise UnreadableError(f"{place} is no list")
        return [decode(inner[0], item, f"{place}[{index}]") for index, item in enumerate(value)]
    return value


@functools.lru_cache(maxsize=None)
def _hints(shape: type) -> dict[str, Any]:
    return typing.get_type_hints(shape)


def _decode_shape(shape: type, value: Any, place: str) -> Any:
    """Fields that are newer than this SDK are left out; fields that the server lacks are a fault."""
    if not isinstance(value, dict):
        raise UnreadableError(f"{place} is no object")
    hints = _hints(shape)
    known: dict[str, Any] = {}
    for field in dataclasses.fields(shape):
        if field.name in value:
            known[field.name] = decode(hints[field.name], value[field.name], f"{place}.{field.name}")
        elif field.default is dataclasses.MISSING:
            raise UnreadableError(f"{place} has no {field.name}")
    return shape(**known)


def _decode_decimal(value: Any, place: str) -> Decimal:
    try:
        if isinstance(value, (str, int)) and not isinstance(value, bool):
            return Decimal(value)
    except InvalidOperation as cause:
        raise UnreadableError(f"{place} is no decimal: {value!r}") from cause
    raise UnreadableError(f"{place} is no decimal: {value!r}")


def _decode_time(value: Any, place: str) -> datetime:
    try:
        # Before Python 3.11, fromisoformat does not know Z.
        return datetime.fromisoformat(value.replace("Z", "+00:00"))
    except (AttributeError, ValueError) as cause:
        raise UnreadableError(f"{place} is no time: {value!r}") from cause
