"""REST requests over aiohttp. A request is sent exactly as it was signed; a failure says whether anything can have left."""

import asyncio
import ssl
import time

import aiohttp
from yarl import URL

from reactor.net.network import Failure, Request, Response

CONNECTIONS_MAX = 32  # Per shard and all hosts together: a burst of cancels runs in parallel, a venue is not flooded.
KEEPALIVE_S = 55.0  # Venues close idle connections after about a minute; a reused dead one costs an unknown outcome.


class RestClient:
    """One keep-alive pool. Belongs to one loop; `await close()` at the end."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ssl_context: ssl.SSLContext | None = None) -> None:
        self._loop = loop
        self._ssl_context = ssl_context
        self._session: aiohttp.ClientSession | None = None
        self._is_closed = False

    async def fetch(self, request: Request) -> Response:
        """The answer, or a Response with `failure` set. Never raises."""
        if self._is_closed:
            return _failed(Failure.NOT_SENT, "the shard stops")
        try:
            session = self._open()
            timeout = aiohttp.ClientTimeout(total=request.timeout_ns / 1e9)
            async with session.request(
                request.method,
                URL(request.url, encoded=True),  # The signature covers these very bytes: nothing may re-quote them.
                data=request.body or None,
                headers=dict(request.headers),
                timeout=timeout,
                allow_redirects=False,
            ) as answer:
                body = await answer.read()
                headers = {name.lower(): value for name, value in answer.headers.items()}
                return Response(answer.status, headers, body, time.monotonic_ns())
        except (aiohttp.ClientConnectorError, aiohttp.InvalidURL) as error:
            return _failed(Failure.NOT_SENT, str(error))
        except asyncio.CancelledError:
            return _failed(Failure.OUTCOME_UNKNOWN, "the shard stops")
        except TimeoutError:
            return _failed(Failure.OUTCOME_UNKNOWN, f"no answer within {request.timeout_ns / 1e9:g} s")
        except Exception as error:
            return _failed(Failure.OUTCOME_UNKNOWN, str(error) or type(error).__name__)

    async def close(self) -> None:
        """Closes the pool, for good."""
        self._is_closed = True
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=CONNECTIONS_MAX,
                keepalive_timeout=KEEPALIVE_S,
                ssl=self._ssl_context if self._ssl_context is not None else True,
                loop=self._loop,
            )
            self._session = aiohttp.ClientSession(connector=connector, auto_decompress=True, loop=self._loop)
        return self._session


def _failed(failure: Failure, text: str) -> Response:
    return Response(0, {}, b"", time.monotonic_ns(), failure, text)
