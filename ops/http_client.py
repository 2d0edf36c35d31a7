"""A client of the HTTP API that tries again: what is safe because every write carries its idempotency key."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NoReturn, Self, TypeVar

import httpx
import msgspec
import orjson
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_delay,
    wait_random_exponential,
)

from domain.capability import Capability
from domain.errors import Code

BULK_ELEMENTS: Final = 1000
"""The most elements that we put into one bulk request; the API takes up to 10,000."""

GIVE_UP_SECONDS: Final = 600.0
"""How long a service may go without one useful answer before we give up."""

_FIRST_PAUSE_SECONDS = 0.2
_MAX_PAUSE_SECONDS = 5.0
_MAX_RETRY_AFTER_SECONDS = 60.0
# 502 and 504 come from a proxy that cannot reach the service.
_TRY_AGAIN = frozenset({408, 429, 502, 503, 504})
_T = TypeVar("_T")
_NEVER_MENDS = (httpx.UnsupportedProtocol, httpx.LocalProtocolError)


class ApiError(Exception):
    """The service refused the whole request: trying again would change nothing.

    `code` is the service's stable code, empty where the answer was not its own. `capability` is what the credential lacked.
    """

    def __init__(self, status: int, code: str, detail: str, *, capability: str = "") -> None:
        super().__init__(f"{code or status}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.capability = capability


class UnreachableError(Exception):
    """The service did not answer for too long. What was sent may be sent again with the same keys."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A success: the decoded JSON, and the position that it reflects (0 where it named none)."""

    body: Any
    position: int


class Element(msgspec.Struct, frozen=True, kw_only=True):
    """One command of a bulk request."""

    action: str
    idempotency_key: str
    data: Mapping[str, Any]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one element; `detail` says why it was refused, for people, `amount` and `account` with what.
    `capability` is what the credential lacked.

    `tried_again` says that an earlier sending of it may have been what acted.
    """

    status: int
    code: str | None = None
    position: int | None = None
    replayed: bool = False
    tried_again: bool = False
    detail: str = ""
    amount: int | None = None
    account: str | None = None
    capability: str | None = None

    @property
    def accepted(self) -> bool:
        return 200 <= self.status < 300

    @property
    def to_be_tried_again(self) -> bool:
        return self.status in _TRY_AGAIN


class _BulkAnswer(msgspec.Struct, frozen=True, kw_only=True):
    data: list[Result]


class NotAnsweredError(Exception):
    """One attempt brought no answer that is final; `retry_after_seconds` is what the service asks to be left alone."""

    def __init__(self, why: str, retry_after_seconds: float = 0) -> None:
        super().__init__(why)
        self.retry_after_seconds = retry_after_seconds


class ApiClient:
    """Calls the API under `url` with one key; safe for threads. Every call tries again until it is answered.

    `notice` is told of each failure that is tried again.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        notice: Callable[[str], None] = lambda _: None,
        give_up_seconds: float = GIVE_UP_SECONDS,
    ) -> None:
        self._http = httpx.Client(
            base_url=f"{url.rstrip('/')}/v2/finance/",
            headers={"Authorization": f"Bearer {key}"},
            timeout=httpx.Timeout(60, connect=10),
        )
        self._stop = threading.Event()
        self._notice = notice
        self._give_up_seconds = give_up_seconds

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def stop(self) -> None:
        """Let calls that wait for another attempt give up now."""
        self._stop.set()

    def close(self) -> None:
        self.stop()
        self._http.close()

    def attempts(self) -> Retrying:
        """Attempts until one raises no NotAnsweredError, with growing pauses of a random length between them.

        An attempt that brought a part of what is wanted calls `progress` with its state. Iterating raises
        UnreachableError where nothing has worked for too long, or the client is stopped.
        """
        return Retrying(
            retry=retry_if_exception_type(NotAnsweredError),
            wait=_pause_seconds,
            stop=stop_after_delay(self._give_up_seconds),
            sleep=self._sleep,
            before_sleep=self._tell,
            retry_error_callback=self._give_up,
        )

    def _tell(self, state: RetryCallState) -> None:
        self._notice(f"{_failure(state)}; trying again in {state.upcoming_sleep:.1f} s")

    def _sleep(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise UnreachableError("stopped")

    def _give_up(self, state: RetryCallState) -> NoReturn:
        waited = f" for {self._give_up_seconds:.0f} s" if self._give_up_seconds else ""
        address = str(self._http.base_url).removesuffix("/v2/finance/")
        raise UnreachableError(f"{address} did not answer{waited}: {_failure(state)}") from None

    def get(self, path: str, **params: str | int) -> Answer:
        """Read. Raises ApiError, UnreachableError."""
        return _answer(self._send("GET", path, params=params)[0])

    def write(self, method: str, path: str, body: object, *, key: str) -> Answer:
        """Write under an idempotency key. Raises ApiError, UnreachableError."""
        content = orjson.dumps(body)
        return _answer(self._send(method, path, content=content, headers={"Idempotency-Key": key})[0])

    def bulk(self, elements: Sequence[Element]) -> list[Result]:
        """Send at most `BULK_ELEMENTS` commands; one result for each, in order.

        Results may have to be tried again one by one. Raises ApiError, UnreachableError.
        """
        assert len(elements) <= BULK_ELEMENTS
        response, tried_again = self._send("POST", "bulk", content=msgspec.json.encode(elements))
        if not response.is_success:
            _raise(response)
        results = _decode(response, _BulkAnswer).data
        if len(results) != len(elements):
            raise ApiError(response.status_code, "", f"{len(elements)} elements, {len(results)} results")
        if tried_again:
            results = [msgspec.structs.replace(result, tried_again=True) for result in results]
        return results

    def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[httpx.Response, bool]:
        """The first answer that is final, and whether more than one sending was needed for it."""
        own = {"Content-Type": "application/json", **(headers or {})} if content is not None else {}
        request = self._http.build_request(method, path, params=params, content=content, headers=own)
        for attempt in self.attempts():
            with attempt:
                return self._once(request), attempt.retry_state.attempt_number > 1
        raise AssertionError("attempts end with an answer or an exception")

    def _once(self, request: httpx.Request) -> httpx.Response:
        """Send a request once. Raises NotAnsweredError, ApiError where it can never be sent."""
        try:
            response = self._http.send(request)
        except _NEVER_MENDS as error:
            raise ApiError(0, "", f"{self._http.base_url} cannot be called: {error}") from None
        except httpx.TransportError as error:
            why = f"{request.method} {request.url}: {error or type(error).__name__}"
            raise NotAnsweredError(why) from None
        if response.status_code in _TRY_AGAIN:
            why = f"{request.method} {request.url.path}: {response.status_code}"
            raise NotAnsweredError(why, _retry_after_seconds(response))
        return response


def progress(state: RetryCallState) -> None:
    """Let the attempts begin anew: their pauses are short again, and it is long until they give up."""
    state.attempt_number = 1
    state.start_time = time.monotonic()


_growing_seconds = wait_random_exponential(multiplier=_FIRST_PAUSE_SECONDS, max=_MAX_PAUSE_SECONDS)


def _pause_seconds(state: RetryCallState) -> float:
    asked_for = min(_failure(state).retry_after_seconds, _MAX_RETRY_AFTER_SECONDS)
    return max(_growing_seconds(state), asked_for)


def _failure(state: RetryCallState) -> NotAnsweredError:
    assert state.outcome is not None
    error = state.outcome.exception()
    assert isinstance(error, NotAnsweredError)
    return error


def is_missing_right(result: Result) -> bool:
    """Whether the credential may not do this at all, so that no other element like it will fare better.

    What it lacks for a date, it lacks for this row alone.
    """
    if (result.capability or "").startswith(Capability.TRANSACTION_BACKDATE):
        return False
    return result.code in {Code.UNAUTHENTICATED, Code.CAPABILITY_MISSING}


def _answer(response: httpx.Response) -> Answer:
    if not response.is_success:
        _raise(response)
    position = response.headers.get("Bursar-Position", "0")
    return Answer(body=_decode(response, object), position=int(position))


def _decode(response: httpx.Response, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(response.content, type=kind)
    except msgspec.DecodeError:
        raise ApiError(response.status_code, "", f"{response.request.url} is not Bursar") from None


def _raise(response: httpx.Response) -> NoReturn:
    try:
        problem = msgspec.json.decode(response.content)
    except msgspec.DecodeError:
        problem = None
    detail = _text(problem, "detail") or f"{response.request.url} answered {response.status_code}"
    raise ApiError(
        response.status_code, _text(problem, "code"), detail, capability=_text(problem, "capability")
    )


def _text(body: object, name: str) -> str:
    value: object = body.get(name) if isinstance(body, dict) else None
    return value if isinstance(value, str) else ""


def _retry_after_seconds(response: httpx.Response) -> float:
    """What `Retry-After` asks for; 0 where it is absent or a date (RFC 9110 allows both; Bursar sends seconds)."""
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isdecimal() else 0
