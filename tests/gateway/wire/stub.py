"""A server that speaks four providers' formats and keeps every request as it came.

Prints its port. `GET /received` gives what came since last asked: method, target,
headers and the body in base64. Answers are made of the request alone, so that two
ways to the same server give the same answer.
"""

from __future__ import annotations

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TEXT = "[[ ## answer ## ]]\nforty-two \u20ac\n\n[[ ## completed ## ]]\n"
THOUGHT = "six by seven"
CALL = {"name": "look_up", "arguments": {"city": "K\u00f6ln", "days": 2}}

received: list[dict[str, Any]] = []
lock = threading.Lock()


def wanted(text: str) -> str | None:
    """What to say to a request; `None` is a native function call."""
    if '"tools":' in text:
        return None
    if "`tools`" in text:
        call = {"name": CALL["name"], "args": CALL["arguments"]}
        return json.dumps({"calls": {"tool_calls": [call]}})
    if "JSON object" in text:
        return json.dumps({"answer": "forty-two \u20ac", "reasoning": THOUGHT})
    if "`reasoning`" in text:
        return f"[[ ## reasoning ## ]]\n{THOUGHT}\n\n{TEXT}"
    return TEXT


def openai(body: dict[str, Any], say: str | None, thinks: bool) -> dict[str, Any]:
    """A chat completion."""
    message: dict[str, Any] = {"role": "assistant", "content": say}
    if thinks:
        message["reasoning_content"] = THOUGHT
    if say is None:
        function = {"name": CALL["name"], "arguments": json.dumps(CALL["arguments"])}
        message["tool_calls"] = [{"id": "t1", "type": "function", "function": function}]
    return {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": body.get("model"),
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14},
    }


def openai_stream(body: dict[str, Any]) -> list[str]:
    """Chunks of a chat completion."""
    head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": body["model"]}
    deltas = [{"role": "assistant", "content": ""}] + [{"content": part} for part in parts()]
    events = [
        {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        for delta in deltas
    ]
    events.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    usage = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}
    events.append({**head, "choices": [], "usage": usage})
    return [f"data: {json.dumps(event)}\n\n" for event in events] + ["data: [DONE]\n\n"]


def anthropic(body: dict[str, Any], say: str | None, thinks: bool) -> dict[str, Any]:
    """A message."""
    content: list[dict[str, Any]] = []
    if thinks:
        content.append({"type": "thinking", "thinking": THOUGHT, "signature": "s"})
    if say is None:
        call = {"type": "tool_use", "id": "t1", "name": CALL["name"], "input": CALL["arguments"]}
        content.append(call)
    else:
        content.append({"type": "text", "text": say})
    return {
        "id": "m1",
        "type": "message",
        "role": "assistant",
        "model": body.get("model"),
        "content": content,
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 9, "output_tokens": 5},
    }


def anthropic_stream(body: dict[str, Any]) -> list[str]:
    """Events of a message."""
    start = {**anthropic(body, TEXT, False), "content": [], "stop_reason": None}
    block = {
        "type": "content_block_start",
        "index": 0,
        "content_block": {"type": "text", "text": ""},
    }
    events: list[dict[str, Any]] = [{"type": "message_start", "message": start}, block]
    for part in parts():
        delta = {"type": "text_delta", "text": part}
        events.append({"type": "content_block_delta", "index": 0, "delta": delta})
    events.append({"type": "content_block_stop", "index": 0})
    end = {"stop_reason": "end_turn", "stop_sequence": None}
    events.append({"type": "message_delta", "delta": end, "usage": {"output_tokens": 5}})
    events.append({"type": "message_stop"})
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events]


def gemini(say: str | None, thinks: bool) -> dict[str, Any]:
    """A generateContent answer."""
    answers: list[dict[str, Any]] = []
    if thinks:
        answers.append({"text": THOUGHT, "thought": True})
    if say is None:
        answers.append({"functionCall": {"name": CALL["name"], "args": CALL["arguments"]}})
    else:
        answers.append({"text": say})
    content = {"role": "model", "parts": answers}
    return {
        "candidates": [{"index": 0, "content": content, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 5, "totalTokenCount": 14},
    }


def gemini_stream() -> list[str]:
    """Pieces of a generateContent answer."""
    pieces = [gemini(part, False) for part in parts()]
    return [f"data: {json.dumps(piece)}\r\n\r\n" for piece in pieces]


def parts() -> list[str]:
    """The text in three pieces."""
    return [TEXT[:12], TEXT[12:25], TEXT[25:]]


class Handler(BaseHTTPRequestHandler):
    """Keeps and answers."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Nothing: standard error belongs to the test."""

    def do_GET(self) -> None:
        """What came since last asked."""
        with lock:
            answer = json.dumps(received)
            received.clear()
        self.whole(answer)

    def do_POST(self) -> None:
        """One call."""
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        with lock:
            received.append(
                {
                    "method": self.command,
                    "target": self.path,
                    "headers": [[name, value] for name, value in self.headers.items()],
                    "body": base64.b64encode(body).decode(),
                }
            )
        text = body.decode()
        request = json.loads(text)
        say = wanted(text)
        thinks = any(mark in text for mark in ("reasoning_effort", '"thinking"', "thinkingConfig"))
        if ":streamGenerateContent" in self.path:
            self.pieces(gemini_stream())
        elif ":generateContent" in self.path:
            self.whole(json.dumps(gemini(say, thinks)))
        elif self.path.endswith("/messages"):
            if request.get("stream"):
                self.pieces(anthropic_stream(request))
            else:
                self.whole(json.dumps(anthropic(request, say, thinks)))
        elif request.get("stream"):
            self.pieces(openai_stream(request))
        else:
            self.whole(json.dumps(openai(request, say, thinks)))

    def whole(self, body: str) -> None:
        """An answer in one piece."""
        data = body.encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def pieces(self, events: list[str]) -> None:
        """An answer as server-sent events, one chunk each."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in [*events, ""]:
            data = event.encode()
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            self.wfile.flush()


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
print(server.server_address[1], flush=True)
server.serve_forever()
