"""The figures of the service, for Prometheus: read from where they are counted when somebody asks.

Requests are counted here, in plain numbers: counters of the client library take a lock and five times as long, which a
check of a hundred references would feel. What ledgers count of themselves is in `ledger.service.figures`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from ledger.api.logs import Log
from ledger.service.figures import Spread
from ledger.service.ledgers import Ledgers
from ledger.service.service import LedgerService
from ledger.settings import Settings

CONTENT_TYPE = CONTENT_TYPE_LATEST
REQUEST_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics(Collector):
    """The figures of one service, in a registry of its own: a process may have several."""

    def __init__(self, ledgers: Ledgers, settings: Settings, log: Log) -> None:
        self.ledgers = ledgers
        self.log = log
        self.max_lag_s = settings.max_lag_s
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._request_s: defaultdict[str, Spread] = defaultdict(lambda: Spread(*REQUEST_S))
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """A request that was answered."""
        self._requests[route, method, status] += 1
        self._request_s[route].note(seconds)

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        yield from self._of_requests()
        opened = self.ledgers.opened
        yield from _of_checks(opened)
        yield GaugeMetricFamily(
            "ledger_max_lag_seconds", "Lag beyond which no check answers fresh.", value=self.max_lag_s
        )
        yield CounterMetricFamily(
            "ledger_log_failures", "Lines of the log that could not be written.", value=self.log.failures
        )
        for name, what, of in _GAUGES:
            gauge = GaugeMetricFamily(name, what, labels=["ledger"])
            for service in opened:
                gauge.add_metric([service.name], of(service))
            yield gauge
        for name, what, spread_of in _SPREADS:
            yield _histogram(name, what, "ledger", {service.name: spread_of(service) for service in opened})

    def _of_requests(self) -> Iterator[Metric]:
        requests = CounterMetricFamily("ledger_requests", "Requests answered.", labels=["route", "method", "status"])
        for (route, method, status), number in self._requests.items():
            requests.add_metric([route, method, str(status)], number)
        yield requests
        yield _histogram("ledger_request_seconds", "Time a request took.", "route", self._request_s)


def _of_checks(opened: list[LedgerService]) -> Iterator[Metric]:
    checks = CounterMetricFamily("ledger_checks", "Checks answered.", labels=["ledger"])
    verdicts = CounterMetricFamily("ledger_verdicts", "Verdicts given.", labels=["ledger", "state", "reason"])
    for service in opened:
        checks.add_metric([service.name], service.figures.checks)
        for (state, reason), number in service.figures.verdicts.items():
            verdicts.add_metric([service.name, state, reason or ""], number)
    yield from (checks, verdicts)


def _histogram(name: str, what: str, label: str, spreads: dict[str, Spread]) -> HistogramMetricFamily:
    family = HistogramMetricFamily(name, what, labels=[label])
    for value, spread in spreads.items():
        buckets = [("+Inf" if bound == float("inf") else str(float(bound)), number) for bound, number in spread.up_to()]
        family.add_metric([value], buckets, spread.sum)
    return family


def _lag_s(service: LedgerService) -> float:
    return service.lag_s


def _head(service: LedgerService) -> float:
    return service.live.head.seq


def _waiting(service: LedgerService) -> float:
    return service.waiting


def _commit_entries(service: LedgerService) -> Spread:
    return service.figures.commit_entries


def _commit_s(service: LedgerService) -> Spread:
    return service.figures.commit_s


def _cascades(service: LedgerService) -> Spread:
    return service.figures.cascade_editions


_GAUGES: tuple[tuple[str, str, Callable[[LedgerService], float]], ...] = (
    ("ledger_lag_seconds", "Time since all that the store holds was known here.", _lag_s),
    ("ledger_head", "Number of the last entry known here.", _head),
    ("ledger_queue_commands", "Commands that wait to be committed.", _waiting),
)
_SPREADS: tuple[tuple[str, str, Callable[[LedgerService], Spread]], ...] = (
    ("ledger_commit_entries", "Entries of a commit.", _commit_entries),
    ("ledger_commit_seconds", "Time a commit took in the store.", _commit_s),
    ("ledger_cascade_editions", "Editions that fell or revived by a command.", _cascades),
)
