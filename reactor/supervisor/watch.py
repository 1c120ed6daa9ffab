"""The Prometheus page: what the roles publish, in the text format, on loopback, behind a token if the config says so."""

import hmac
from collections.abc import Callable

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from reactor.domain.errors import ConfigError
from reactor.monitor.reader import Picture

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
E8 = 100_000_000
RISK_COUNTERS = ("orders", "fills", "rejects", "refusals", "pairs_opened", "pairs_closed", "duplicates_detected")
RISK_GAUGES = ("open_orders", "unknown_orders", "is_reconciled", "trades_today")


class PictureCollector(Collector):
    """Turns the newest picture into metric families."""

    def __init__(self, picture: Callable[[], Picture], instance: str) -> None:
        self._picture = picture
        self._instance = instance

    def collect(self) -> list[Metric]:
        """Called by the registry at each scrape."""
        picture, names = self._picture(), ["instance_name"]
        mine = [self._instance]
        families: list[Metric] = []
        for name in RISK_COUNTERS:
            counter = CounterMetricFamily(f"crypto_trade_{name}", f"{name.replace('_', ' ')} since the start", labels=names)
            counter.add_metric(mine, picture.risk.get(name, 0))
            families.append(counter)
        for name in RISK_GAUGES:
            gauge = GaugeMetricFamily(f"crypto_trade_{name}", name.replace("_", " "), labels=names)
            gauge.add_metric(mine, picture.risk.get(name, 0))
            families.append(gauge)
        for name, value in picture.risk.items():
            if name.endswith("_e8"):
                word = name.removesuffix("_e8")
                gauge = GaugeMetricFamily(f"crypto_trade_{word}_usdt", f"{word.replace('_', ' ')} in USDT", labels=names)
                gauge.add_metric(mine, value / E8)
                families.append(gauge)
        return families + self._roles(picture) + self._books(picture) + self._latency(picture)

    def _roles(self, picture: Picture) -> list[Metric]:
        labels = ["instance_name", "role"]
        age = GaugeMetricFamily("crypto_trade_heartbeat_age_seconds", "since the last pass", labels=labels)
        memory = GaugeMetricFamily("crypto_trade_memory_bytes", "resident", labels=labels)
        cpu = GaugeMetricFamily("crypto_trade_cpu_percent", "of one core", labels=labels)
        counters = CounterMetricFamily("crypto_trade_role", "a role's own counters", labels=[*labels, "counter"])
        for role in picture.roles:
            mine = [self._instance, role.name]
            age.add_metric(mine, max(0.0, role.heartbeat_age_ms) / 1000)
            memory.add_metric(mine, role.memory_mb * 1e6)
            cpu.add_metric(mine, role.cpu_percent)
            for name, value in role.counters.items():
                counters.add_metric([*mine, name], value)
        return [age, memory, cpu, counters]

    def _books(self, picture: Picture) -> list[Metric]:
        labels = ["instance_name", "instrument"]
        age = GaugeMetricFamily("crypto_trade_book_age_seconds", "since the last message of the instrument", labels=labels)
        synchronised = GaugeMetricFamily("crypto_trade_book_synchronised", "1: the book may be believed", labels=labels)
        resyncs = CounterMetricFamily("crypto_trade_book_resyncs", "books rebuilt from a snapshot", labels=labels)
        for top in picture.tops:
            mine = [self._instance, top.name]
            age.add_metric(mine, top.age_ms / 1000)
            synchronised.add_metric(mine, float(top.is_synchronised))
            resyncs.add_metric(mine, top.resyncs)
        return [age, synchronised, resyncs]

    def _latency(self, picture: Picture) -> list[Metric]:
        count = CounterMetricFamily("crypto_trade_latency_samples", "per stage", labels=["instance_name", "stage"])
        quantiles = GaugeMetricFamily(
            "crypto_trade_latency_quantile_seconds", "per stage", labels=["instance_name", "stage", "quantile"]
        )
        for stage, row in picture.latency_us.items():
            count.add_metric([self._instance, stage], row.count)
            for quantile, value in (("0.5", row.p50), ("0.99", row.p99), ("0.999", row.p99_9), ("1", row.max)):
                quantiles.add_metric([self._instance, stage, quantile], value / 1e6)
        return [count, quantiles]


class MetricsPage:
    """GET /metrics."""

    def __init__(self, picture: Callable[[], Picture], instance: str, token: str) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(PictureCollector(picture, instance))
        self._token = token
        self._runner: web.AppRunner | None = None

    async def open(self, address: str, port: int) -> None:
        """Starts to listen.

        Raises:
            ConfigError: the port is in use.
        """
        application = web.Application()
        application.router.add_get("/metrics", self._serve)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, address, port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise ConfigError(
                f"system.metrics.port: cannot listen on {address}:{port}: {error.strerror}; choose another, or 0 for none"
            ) from None

    async def close(self) -> None:
        """Stops listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.Response:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self._token and not hmac.compare_digest(given.encode(), self._token.encode()):
            return web.Response(status=401, text="send Authorization: Bearer <token>\n")
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE})
