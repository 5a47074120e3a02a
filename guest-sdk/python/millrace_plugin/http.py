"""HTTP, carried out by the agent: only origins that the operator granted, no redirects, secrets added by the agent."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import _host

_http = _host.load("http")


class HttpError(Exception):
    """Why there is no response: `kind` is denied, dns, timeout, too-large, invalid or transport."""

    def __init__(self, kind: str, reason: str | None = None) -> None:
        super().__init__(f"http: {kind}" if reason is None else f"http: {kind}: {reason}")
        self.kind = kind

    @property
    def is_temporary(self) -> bool:
        """Whether the same request may work later."""
        return self.kind in ("dns", "timeout", "transport")


@dataclass
class Request:
    """One request. `auth` is the name of a granted secret, which the agent adds."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str | bytes] = field(default_factory=dict)
    body: bytes | str = b""
    timeout_ms: int | None = None
    auth: str | None = None

    def _crossing(self) -> Any:
        headers = [(name, value.encode() if isinstance(value, str) else value) for name, value in self.headers.items()]
        body = self.body.encode() if isinstance(self.body, str) else self.body
        return _http.Request(self.method, self.url, headers, body, self.timeout_ms, self.auth)


@dataclass
class Response:
    """One response, whatever its status. Names of headers are in lower case."""

    status: int
    headers: list[tuple[str, bytes]]
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the status is 200 to 299."""
        return 200 <= self.status < 300

    def header(self, name: str) -> str | None:
        """The first header of this name, as text."""
        return next((value.decode(errors="replace") for key, value in self.headers if key == name), None)

    def text(self) -> str:
        return self.body.decode(errors="replace")

    def json(self) -> Any:
        return json.loads(self.body)


def send(request: Request | str) -> Response:
    """Sends one request and gives the response, whatever its status. Raises `HttpError`."""
    whole = Request(request) if isinstance(request, str) else request
    try:
        response = _http.send(whole._crossing())
    except Exception as raised:
        if (error := _host.error_of(raised)) is None:
            raise
        raise HttpError(*error) from None
    return Response(response.status, response.headers, response.body)


def send_many(requests: Sequence[Request | str], parallel: int = 8) -> list[Response | HttpError]:
    """Sends many requests, at most `parallel` at a time, and gives the answers in their order."""
    whole = [Request(request) if isinstance(request, str) else request for request in requests]
    answers = _http.send_many([request._crossing() for request in whole], parallel)
    return [_answer(answer) for answer in answers]


def _answer(answer: Any) -> Response | HttpError:
    if (error := _host.error_of(answer)) is not None:
        return HttpError(*error)
    response = answer.value
    return Response(response.status, response.headers, response.body)
