"""Stands for the state of a component in tests, with its limits and the lifetime of keys."""

from dataclasses import dataclass

from . import clock

KEY_BYTES_MAX = 1024
VALUE_BYTES_MAX = 1 << 20

entries: dict[str, tuple[bytes, int | None]] = {}


@dataclass
class Error_TooLarge:
    pass


class Refused(Exception):
    def __init__(self, value: object) -> None:
        self.value = value


def _checked(key: str) -> str:
    if len(key.encode()) > KEY_BYTES_MAX:
        raise Refused(Error_TooLarge())
    return key


def get(key: str) -> bytes | None:
    value, until = entries.get(_checked(key), (None, None))
    return value if until is None or clock.unix_nanos() < until else None


def get_many(keys: list[str]) -> list[bytes | None]:
    return [get(key) for key in keys]


def set(key: str, value: bytes, ttl_ms: int | None) -> None:
    if len(value) > VALUE_BYTES_MAX:
        raise Refused(Error_TooLarge())
    until = None if ttl_ms is None else clock.unix_nanos() + ttl_ms * 1_000_000
    entries[_checked(key)] = (bytes(value), until)


def delete(key: str) -> None:
    entries.pop(key, None)


def increment(key: str, by: int) -> int:
    old = get(key) or bytes(8)
    if len(old) != 8:
        raise Refused(Error_TooLarge())
    whole = int.from_bytes(old, "little", signed=True) + by & (1 << 64) - 1
    data = whole.to_bytes(8, "little")
    set(key, data, None)
    return int.from_bytes(data, "little", signed=True)


def list_keys(prefix: str, after: str | None, keys_max: int) -> list[str]:
    keys = sorted((key for key in entries if key.startswith(prefix) and get(key) is not None), key=str.encode)
    return [key for key in keys if after is None or key.encode() > after.encode()][:keys_max]
