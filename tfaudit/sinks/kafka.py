"""How do documents reach a Kafka topic: keyed by stack, acknowledged by every replica in sync (extra ``kafka``)?

The producer is idempotent: what it tries again itself the broker drops by its number. What a later delivery sends
again, a consumer drops by the header ``id``.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from tfaudit.errors import ConfigError
from tfaudit.sinks import kafka_configuration
from tfaudit.sinks.fitting import fitted
from tfaudit.sinks.kafka_configuration import Brokers, is_here
from tfaudit.sinks.model import Accepted, Answer, Document, Encoded, Later, Limits, Misconfigured, Refused

if TYPE_CHECKING:
    from tfaudit.config.delivering import Shape, SinkSettings

DEFAULT_TOPIC: Final = "tfaudit"
MAX_MESSAGE: Final = 900_000
"""Bytes of a document: brokers take 1,048,588 of a batch unless they are told otherwise."""
SECONDS: Final = 20.0
"""For a batch, from the first connection to the last acknowledgement."""
_LOOK_SECONDS: Final = 10.0

_PRODUCER: Final[Mapping[str, str | int | bool]] = {
    "enable.idempotence": True,
    "acks": "all",
    "delivery.timeout.ms": 15_000,
    "topic.metadata.propagation.max.ms": 5_000,
}
_BATCH: Final = Limits(documents=1_000, size=8 << 20)
_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")
_TOO_LARGE: Final = ("MSG_SIZE_TOO_LARGE", "RECORD_LIST_TOO_LARGE", "INVALID_RECORD", "INVALID_MSG_SIZE")
"""What a broker says of a whole batch, although one document of it may be why."""
_NOT_TRIED: Final = Later(reason="which documents the brokers refuse is still to be found out", after=0.0)
_WRONG: Final[Mapping[str, tuple[str, str]]] = {
    "_AUTHENTICATION": ("the brokers refuse our name or password", "see the sink's secret and mechanism"),
    "SASL_AUTHENTICATION_FAILED": ("the brokers refuse our name or password", "see the sink's secret and mechanism"),
    "_SSL": ("there is no TLS with the brokers", "set ca to the authority that signed their certificates"),
    "TOPIC_AUTHORIZATION_FAILED": ("we may not write to the topic", "allow Write and Describe on it"),
    "CLUSTER_AUTHORIZATION_FAILED": ("we may not write idempotently", "allow IdempotentWrite on the cluster"),
    "UNKNOWN_TOPIC_OR_PART": ("there is no such topic", "make it, or name another by topic"),
    "_UNKNOWN_TOPIC": ("there is no such topic", "make it, or name another by topic"),
    "TOPIC_EXCEPTION": ("there can be no such topic", "name another by topic"),
    "POLICY_VIOLATION": ("a policy of the brokers refuses it", "see the topic's configuration"),
    "_UNSUPPORTED_FEATURE": ("the brokers are too old for an idempotent producer", "Kafka 0.11 or above"),
}
"""What only another configuration mends, by the name of Kafka's or librdkafka's error."""
_AWAY: Final = frozenset({"_TRANSPORT", "_ALL_BROKERS_DOWN", "_RESOLVE"})
_LATE: Final = frozenset({"_TIMED_OUT", "_MSG_TIMED_OUT", "_TIMED_OUT_QUEUE"})


class KafkaSink:
    """One topic, by threads of its own: close it."""

    limits = _BATCH

    def __init__(self, brokers: Brokers, *, topic: str, schema: Shape) -> None:
        """Start a producer, which raises KafkaException for files that are no certificates, and waits for nothing."""
        self._brokers = brokers
        self._topic = topic
        self._schema: Final = schema
        self._trouble: set[str] = set()
        """Names of the errors that tell of the connection itself."""
        self._producer: Any = None
        """None between one that was given up and the next."""
        self._looked = not brokers.plain
        """Whether the brokers are known to be where they may be."""
        self._start()

    def encode(self, document: Document) -> Encoded | Refused:
        """Return its kind, the document in its schema and its key, a line each: JSON has no line break here."""
        fit = fitted(document.body, self._schema, MAX_MESSAGE)
        if isinstance(fit, Refused):
            return fit
        key = document.body.get("stack") or document.id.partition("/")[0]
        content = b"%b\n%b\n%b" % (document.kind.encode(), fit.content, str(key).encode())
        return Encoded(document.id, document.time, content, fit.note)

    def send(self, batch: Sequence[Encoded]) -> Sequence[Answer]:
        """Send the documents and wait until each is acknowledged; each has an answer of its own."""
        from confluent_kafka import KafkaException

        self._trouble.clear()
        until = time.monotonic() + SECONDS
        try:
            self._start()
            wrong = self._look(until)
            if wrong is not None:
                return [wrong] * len(batch)
            answers = self._sent(batch, until)
            for at, answer in enumerate(answers):
                if isinstance(answer, Refused) and len(batch) > 1:
                    # It may have been refused for another's size.
                    is_late = time.monotonic() >= until
                    answers[at] = _NOT_TRIED if is_late else self._sent(batch[at : at + 1], until)[0]
        except (KafkaException, BufferError) as error:
            self._drop()
            return [self._explained(_name(error))] * len(batch)
        if any(isinstance(answer, Later | Misconfigured) for answer in answers):
            # What is still under way must not arrive after what is sent next.
            self._drop()
        return answers

    def check(self) -> Misconfigured | Later | None:
        """Ask for the topic, without making it where the brokers would."""
        from confluent_kafka import KafkaException, TopicCollection
        from confluent_kafka.admin import AdminClient

        self._trouble.clear()
        try:
            admin = AdminClient(self._client({}), logger=_silent())
            asked = admin.describe_topics(TopicCollection([self._topic]), request_timeout=_LOOK_SECONDS)
            waiting = asked[self._topic]
            until = time.monotonic() + _LOOK_SECONDS
            while not waiting.done() and time.monotonic() < until and not self._trouble & _WRONG.keys():
                admin.poll(0.1)
            if not waiting.done():
                return self._explained("_TIMED_OUT")
            partitions = waiting.result().partitions
        except KafkaException as error:
            return self._explained(_name(error))
        return self._elsewhere(each.leader.host for each in partitions if each.leader is not None)

    def close(self) -> None:
        """Give up what is under way, and end the producer's threads."""
        self._drop()

    def _start(self) -> None:
        from confluent_kafka import Producer

        if self._producer is None:
            self._producer = Producer({**self._brokers.client, **_PRODUCER, "error_cb": self._heard}, logger=_silent())

    def _client(self, more: Mapping[str, Any]) -> dict[str, Any]:
        return {**self._brokers.client, **more, "error_cb": self._heard}

    def _look(self, until: float) -> Misconfigured | None:
        if self._looked:
            return None
        known = self._producer.list_topics(timeout=max(0.1, min(_LOOK_SECONDS, until - time.monotonic())))
        wrong = self._elsewhere(broker.host for broker in known.brokers.values())
        self._looked = wrong is None
        return wrong

    def _elsewhere(self, hosts: Iterable[str]) -> Misconfigured | None:
        """Tell of brokers that are not on this machine, where all goes in clear: one broker names the others."""
        away = next((host for host in hosts if self._brokers.plain and not is_here(host)), None)
        if away is None:
            return None
        return Misconfigured(
            reason=f"{self._brokers.servers} sends us on to {away}, in clear",
            hint="advertise 127.0.0.1 there, or use TLS",
        )

    def _sent(self, batch: Sequence[Encoded], until: float) -> list[Answer]:
        answers: list[Answer | None] = [None] * len(batch)

        def told(at: int) -> Callable[[Any, Any], None]:
            def acknowledged(error: Any, message: Any) -> None:  # noqa: ANN401 - foreign
                if error is None:
                    receipt = f"{self._topic}-{message.partition()}@{message.offset()}"
                    answers[at] = Accepted(receipt=receipt)
                else:
                    answers[at] = self._answer(error.name())

            return acknowledged

        for at, each in enumerate(batch):
            kind, document, key = each.content.split(b"\n", 2)
            headers = [("id", each.id), ("kind", kind), ("schema", self._schema), ("content-type", "application/json")]
            self._producer.produce(self._topic, key=key, value=document, headers=headers, on_delivery=told(at))
        while self._producer.flush(0.2) and time.monotonic() < until and not self._trouble & _WRONG.keys():
            pass
        return [self._explained("_TIMED_OUT") if answer is None else answer for answer in answers]

    def _answer(self, name: str) -> Answer:
        if name in _TOO_LARGE:
            return Refused(reason=f"the brokers refuse it: {_words(name)}")
        return self._explained(name)

    def _explained(self, name: str) -> Misconfigured | Later:
        """Return what an error means; one of the connection explains what else failed for want of it."""
        for each in (name, *sorted(self._trouble)):
            if each in _WRONG:
                reason, hint = _WRONG[each]
                return Misconfigured(reason=f"{self._brokers.servers}, topic {self._topic}: {reason}", hint=hint)
        words = _words(name)
        if name in _AWAY or (name in _LATE and self._trouble & _AWAY):
            words = "no broker can be reached"
        elif name in _LATE:
            words = "no broker answered in time"
        return Later(reason=f"{self._brokers.servers}, topic {self._topic}: {words}")

    def _heard(self, error: Any) -> None:  # noqa: ANN401 - a KafkaError
        self._trouble.add(error.name())

    def _drop(self) -> None:
        if self._producer is not None:
            self._producer.purge()
            self._producer.flush(1)
            self._producer = None


def open_sink(settings: SinkSettings, *, environ: Mapping[str, str]) -> KafkaSink:
    """Return the sink of ``kafka:HOST:PORT,HOST:PORT`` (TLS), or of ``kafka:plaintext://127.0.0.1:PORT``.

    A secret is ``user:password``. Raises :class:`ConfigError` for what is misconfigured or where the extra is missing,
    :class:`UnavailableError` where the secret can't be had now.
    """
    try:
        import confluent_kafka
    except ImportError as error:
        raise ConfigError(
            f"the sink {settings.name} needs the extra kafka", hint="pip install 'tfaudit[kafka]'"
        ) from error
    brokers = kafka_configuration.brokers(settings, environ)
    topic = str(settings.options.get("topic", DEFAULT_TOPIC))
    if not _TOPIC.fullmatch(topic) or topic in (".", ".."):
        raise ConfigError(f'topic of the sink {settings.name} is "{topic}"')
    try:
        return KafkaSink(brokers, topic=topic, schema=settings.schema or "native")
    except confluent_kafka.KafkaException as error:
        raise ConfigError(
            f"ca, cert or key of the sink {settings.name} can't be used",
            hint="files in PEM form, a key without a password",
        ) from error


def _name(error: Exception) -> str:
    """Return the name of the error in an exception of the client's; a full queue is one of them."""
    inner: Any = error.args[0] if error.args else None
    return str(inner.name()) if hasattr(inner, "name") else "_QUEUE_FULL"


def _words(name: str) -> str:
    return name.removeprefix("_").replace("_", " ").lower()


def _silent() -> logging.Logger:
    """Return a logger that says nothing: librdkafka's own lines would stand between the engine's."""
    logger = logging.Logger("tfaudit.kafka")
    logger.addHandler(logging.NullHandler())
    return logger
