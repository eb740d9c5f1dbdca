"""Figures about the service for Prometheus, counted from the events that its parts tell.

No label holds what a client chose: verbs come from the gateway's closed table, codes from the tree of errors. With
several workers each process counts into files of a common directory (prometheus_client's multiprocess mode, which
``PROMETHEUS_MULTIPROC_DIR`` turns on before the import), so that whichever worker is asked tells the truth of all.
"""

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import cache, partial
from typing import Any, Literal

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from jangbu import telemetry
from jangbu.errors import JangbuError
from jangbu.metering.meter import Metering
from jangbu.metering.standing import Standing, standing

__all__ = ["CONTENT_TYPE_LATEST", "Metrics"]

_SHARED = "PROMETHEUS_MULTIPROC_DIR"
_ADDED_SECONDS = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
_CALL_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_SAMPLE_SECONDS = 1
_STANDING_SECONDS = 5
"""For how long what was read of the database is shown again, so that scrapes cannot burden it."""
_READ_SECONDS = 2


class Metrics:
    """Counts from when it is made until it is closed. Belongs to one event loop."""

    def __init__(self, metering: Metering, project: str) -> None:
        self._metering = metering
        self._project = project
        self._registry = CollectorRegistry()
        self._counts = _Counts(self._registry)
        self._standing: Standing | None = None
        self._read_at: float | None = None
        self._reading = asyncio.Lock()
        self._unsubscribe = telemetry.subscribe(self._counts.hear, *self._counts.heard)
        self._sampling = asyncio.create_task(self._sample())

    async def text(self) -> bytes:
        """Give all figures in Prometheus' text format. A database that does not answer leaves its own figures out."""
        async with self._reading:
            if self._read_at is None or time.monotonic() - self._read_at >= _STANDING_SECONDS:
                self._standing = await self._read()
                self._read_at = time.monotonic()
        await self._measure()
        return await asyncio.to_thread(generate_latest, self._shown(self._standing))

    async def close(self) -> None:
        """Count nothing more."""
        self._unsubscribe()
        self._sampling.cancel()
        with suppress(asyncio.CancelledError):
            await self._sampling

    async def _sample(self) -> None:
        """Note now and then how much waits: another worker may be the one that is asked."""
        while True:
            await self._measure()
            await asyncio.sleep(_SAMPLE_SECONDS)

    async def _measure(self) -> None:
        self._counts.queue.set(self._metering.recorder.depth)
        self._counts.locked.set(self._metering.holds.locked.number)
        if self._metering.spooling is not None:
            # A disk that cannot be read is told by /readyz; the figures stay as they were.
            with suppress(OSError, JangbuError):
                backlog = await self._metering.spooling.backlog()
                self._counts.spooled.set(backlog.waiting)
                self._counts.spooled_seconds.set(backlog.oldest_seconds)

    async def _read(self) -> Standing | None:
        with suppress(JangbuError, TimeoutError):
            async with asyncio.timeout(_READ_SECONDS):
                has_channels = self._metering.alerts.has_channels
                return await standing(self._metering.database, self._project, has_channels=has_channels)
        return None

    def _shown(self, standing: Standing | None) -> CollectorRegistry:
        shown = CollectorRegistry()
        if _SHARED in os.environ:
            MultiProcessCollector(shown)  # type: ignore[no-untyped-call]
        else:
            shown.register(_Passed(self._registry))
        shown.register(_Book(standing))
        return shown


class _Counts:
    """The counters, and which event moves which."""

    def __init__(self, registry: CollectorRegistry) -> None:
        counter, timed = partial(Counter, registry=registry), partial(Histogram, registry=registry)
        labelled, gauge = partial(_labelled, registry), partial(_gauge, registry)
        self.calls = labelled("jangbu_calls", "Requests by verb and class of status", "verb", "status")
        self.seconds = cache(
            timed("jangbu_call_seconds", "How long whole calls took", ("verb",), buckets=_CALL_SECONDS).labels
        )
        self.added = cache(
            timed(
                "jangbu_added_seconds",
                "How long calls took beyond waiting for the provider and for the client",
                ("verb",),
                buckets=_ADDED_SECONDS,
            ).labels
        )
        self.refusals = labelled(
            "jangbu_refusals", "Refusals by code; insufficient_balance: no hold could be taken", "code"
        )
        self.tokens = counter("jangbu_tokens_charged", "Tokens that were recorded and deducted")
        self.records = labelled("jangbu_records", "Records of usage, and whether their price is known", "priced")
        self.unrecorded = counter("jangbu_unrecorded", "Records that could not be made durable: somebody has to look")
        self.alerts_raised = labelled("jangbu_alerts_raised", "Alerts that were raised here", "condition")
        self.alerts_sent = labelled(
            "jangbu_alerts_sent", "Attempts to send an alert, and whether it arrived", "channel", "arrived"
        )
        self.events_sent = labelled("jangbu_webhook_events_sent", "Attempts to tell the app, and if told", "arrived")
        self.retries = counter("jangbu_recorder_retries", "Flushes that were tried again")
        self.queue = gauge("jangbu_recorder_queue", "Records that wait to be written")
        self.locked = gauge("jangbu_locked_balances", "Balances that other transactions keep locked", "livemax")
        self.spooled = gauge("jangbu_spool_records", "Records that wait on the disk until the database has them")
        self.spooled_seconds = gauge("jangbu_spool_oldest_seconds", "How long the oldest of them waits", "livemax")
        self.kept = counter("jangbu_spool_kept", "Records that the database did not take in time")
        self.set_aside = counter("jangbu_spool_set_aside", "Spooled records that can never be recorded, or not be read")
        self.upstream = labelled("jangbu_upstream_answers", "Answers of the provider by class of status", "status")
        self.failures = labelled(
            "jangbu_upstream_failures", "Times the provider was not reached or broke off", "reason"
        )
        self.drains = gauge("jangbu_drains", "Answers that are read on although their client left")
        self.drains_refused = counter("jangbu_drains_refused", "Answers that were not read on: too many clients left")
        self.heard = self._heard()

    def hear(self, event: str, facts: Mapping[str, Any]) -> None:
        """Count an event."""
        self.heard[event](facts)

    def _heard(self) -> Mapping[str, Callable[[Mapping[str, Any]], None]]:
        """Say which event moves what."""
        return {
            "request.ended": self._ended,
            "gateway.refused": lambda facts: self.refusals(facts["code"]).inc(),
            "gateway.drains": lambda facts: self.drains.set(facts["under_way"]),
            "gateway.drain_refused": lambda _: self.drains_refused.inc(),
            "meter.recorded": self._recorded,
            "recorder.failed": lambda _: self.unrecorded.inc(),
            "alerts.raised": lambda facts: self.alerts_raised(facts["condition"]).inc(),
            "alerts.delivered": lambda facts: self.alerts_sent(facts["channel"], "yes").inc(),
            "alerts.refused": lambda facts: self.alerts_sent(facts["channel"], "no").inc(),
            "webhooks.delivered": lambda _: self.events_sent("yes").inc(),
            "webhooks.refused": lambda _: self.events_sent("no").inc(),
            "recorder.retried": lambda _: self.retries.inc(),
            "spool.kept": lambda facts: self.kept.inc(facts["records"]),
            "spool.set_aside": lambda _: self.set_aside.inc(),
            "spool.quarantined": lambda facts: self.set_aside.inc(len(facts["lost"])),
            "upstream.answered": lambda facts: self.upstream(_status_class(facts["status"])).inc(),
            "upstream.failed": lambda facts: self.failures(facts["reason"]).inc(),
        }

    def _ended(self, facts: Mapping[str, Any]) -> None:
        self.calls(facts["verb"], _status_class(facts["status"])).inc()
        if facts["added_seconds"] is not None:
            self.seconds(facts["verb"]).observe(facts["seconds"])
            self.added(facts["verb"]).observe(facts["added_seconds"])

    def _recorded(self, facts: Mapping[str, Any]) -> None:
        self.tokens.inc(facts["tokens"])
        self.records("yes" if facts["is_priced"] else "no").inc()


class _Passed(Collector):
    """All that another registry shows."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterable[Metric]:
        """Give its figures."""
        return self._registry.collect()


class _Book(Collector):
    """What the database says: it is one for all workers, so it is added to nothing."""

    def __init__(self, standing: Standing | None) -> None:
        self._standing = standing

    def collect(self) -> Iterable[Metric]:
        """Give the holds, and what was found; only that it does not answer where it does not."""
        up = 0 if self._standing is None else 1
        yield GaugeMetricFamily("jangbu_database_up", "Whether the database answers", up)
        if self._standing is None:
            return
        holds = GaugeMetricFamily("jangbu_holds", "Holds, open or of an unknown outcome", labels=["state"])
        tokens = GaugeMetricFamily("jangbu_held_tokens", "Tokens that are held", labels=["state"])
        for state, held in self._standing.holds.items():
            holds.add_metric([state], held.holds)
            tokens.add_metric([state], held.tokens)
        findings = GaugeMetricFamily(
            "jangbu_open_findings",
            "Findings that nobody has dealt with; unpriced: calls without a price",
            labels=["kind"],
        )
        for kind, number in self._standing.findings.items():
            findings.add_metric([kind], number)
        undelivered = GaugeMetricFamily(
            "jangbu_alerts_undelivered",
            "Alerts that did not reach every channel: they are still tried, or were given up within a day",
            labels=["state"],
        )
        for state, number in self._standing.undelivered.items():
            undelivered.add_metric([state], number)
        yield from (holds, tokens, findings, undelivered)
        if verified := self._standing.verified:
            for name, meaning, value in (
                ("mismatches", "Figures that did not add up in the last verification", verified.known_mismatches),
                ("records", "Records that the last verification read again", verified.records),
                ("age_seconds", "How long ago the last verification ended", verified.age_seconds),
            ):
                yield GaugeMetricFamily(f"jangbu_verify_{name}", meaning, value)


def _labelled(registry: CollectorRegistry, name: str, meaning: str, *labels: str) -> Callable[..., Counter]:
    """Give what gives the counter of some labels, which come from closed lists: each is looked for once."""
    return cache(Counter(name, meaning, labels, registry=registry).labels)


def _gauge(
    registry: CollectorRegistry, name: str, meaning: str, mode: Literal["livesum", "livemax"] = "livesum"
) -> Gauge:
    """Give a gauge whose values are summed over the processes that live, or of which the largest counts."""
    return Gauge(name, meaning, registry=registry, multiprocess_mode=mode)


def _status_class(status: int) -> str:
    return f"{status // 100}xx"
