"""A real OTLP receiver on loopback: OtelTap, with OpenInference's own names beside it.

Prints its port, then for each span one line of JSON: the span as OTLP's protobuf says it,
its attributes as a plain object, and under `unknown` those that stand in one of
OpenInference's namespaces and are not in its tables.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import socket
from enum import Enum
from typing import Any

from openinference.semconv import trace
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from oteltap import OtelTapHttpProtobufReceiver, OtelTapHttpProtobufReceiverSettings

TABLES = [table for _, table in inspect.getmembers(trace, inspect.isclass) if table is not Enum]
NAMES = {
    value
    for table in TABLES
    if not issubclass(table, Enum)
    for name, value in vars(table).items()
    if name.isupper()
}
KINDS = {kind.value for kind in trace.OpenInferenceSpanKindValues}
OURS = ("dspex.", "dspy.", "http.")


def known(name: str) -> bool:
    """Whether each part of `llm.input_messages.0.message.role` is in the tables."""
    if name.startswith(OURS):
        return True
    # `message_content.image.image.url`: a field that is itself an object.
    parts = re.split(r"\.\d+\.", name.replace("image.image.", "image.0.image."))
    return all(part in NAMES for part in parts)


def plain(span: Span) -> dict[str, Any]:
    """A span as JSON."""
    attributes = {it.key: getattr(it.value, it.value.WhichOneof("value")) for it in span.attributes}
    unknown = [name for name in attributes if not known(name)]
    if attributes.get("openinference.span.kind") not in KINDS:
        unknown.append("openinference.span.kind")
    return {
        "name": span.name,
        "trace": span.trace_id.hex(),
        "id": span.span_id.hex(),
        "parent": span.parent_span_id.hex(),
        "start": span.start_time_unix_nano,
        "end": span.end_time_unix_nano,
        "status": [span.status.code, span.status.message],
        "attributes": attributes,
        "unknown": unknown,
    }


async def main() -> None:
    """Listens until it is ended."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = OtelTapHttpProtobufReceiverSettings(http_port=port)
    async with OtelTapHttpProtobufReceiver(settings) as receiver:

        async def tell() -> None:
            async for span in receiver.stream_traces():
                print(json.dumps(plain(span)), flush=True)

        telling = asyncio.create_task(tell())
        await asyncio.sleep(0)
        print(port, flush=True)
        await telling


asyncio.run(main())
