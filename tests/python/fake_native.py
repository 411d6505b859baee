"""A stand-in for the native module: same interface, LM calls answered by a function."""

from __future__ import annotations

import json
import math
import re
import sys
import types


class TransportFailure(Exception):
    def __init__(self, kind, message):
        super().__init__(message)
        self.kind, self.message = kind, message


class RunCancelled(BaseException):
    pass


def completion(text):
    """An answer in OpenAI's wire format."""
    body = {
        "id": "r1",
        "object": "chat.completion",
        "model": "demo",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8},
    }
    return 200, [("content-type", "application/json")], json.dumps(body).encode()


def echo_fields(request):
    """Answers each output field DSPy asks for with `paris` (or a number)."""
    system = request["messages"][0]["content"]
    part = system.split("Your output fields are:")[-1].split("All interactions")[0]
    fields = re.findall(r"\d+\. `(\w+)` \((\w+)", part)
    lines = [f"[[ ## {n} ## ]]\n{'7' if t in ('int', 'float') else 'paris'}" for n, t in fields]
    return "\n\n".join([*lines, "[[ ## completed ## ]]"])


def is_text(text):
    try:
        return len(text.encode()) <= 16 * 1024 * 1024
    except UnicodeEncodeError:
        return False


def is_json(value, depth, left):
    left[0] -= 1
    kind = type(value)
    if left[0] < 0:
        return False
    if kind is str:
        return is_text(value)
    if kind is int:
        return -(2**63) <= value < 2**63
    if kind is float:
        return math.isfinite(value)
    if value is None or kind is bool:
        return True
    if depth == 0:
        return False
    if kind is list:
        return all(is_json(item, depth - 1, left) for item in value)
    if kind is dict:
        keys = all(type(key) is str and is_text(key) and key != "_type" for key in value)
        return keys and all(is_json(item, depth - 1, left) for item in value.values())
    return False


class Native(types.ModuleType):
    """The module, with everything it was told."""

    def __init__(self):
        super().__init__("_dspex")
        self.worker, self.interactive, self.version = 1, False, "0.1.0"
        self.TransportFailure, self.RunCancelled = TransportFailure, RunCancelled
        self.reset()

    def reset(self):
        self.sent, self.spans, self.calls, self.told, self.cancelled = [], [], [], [], set()
        self.inputs, self.script = [], echo_fields
        self.approvals, self.asked = [], []

    def send(self, kind, number, payload):
        self.sent.append((kind, number, json.loads(payload)))

    def send_pieces(self, kind, number, pieces):
        self.send(kind, number, b"".join(pieces))

    def outputs(self):
        return [p["output"] for kind, _, p in self.sent if kind == "cell_output"]

    def progress(self):
        return [p["progress"] for kind, _, p in self.sent if kind == "progress"]

    def wait(self, lane):
        return None

    def cell_began(self, cell, run):
        pass

    def cell_ended(self):
        pass

    def span_start(self, span, parent, run, kind, name, inputs):
        self.spans.append(("start", span, parent, run, kind, name, inputs))

    def span_end(self, span, outputs, error):
        self.spans.append(("end", span, outputs, error))

    def count_json(self, value, depth, most):
        left = [most]
        plain = is_json(value, depth, left)
        return (1 if plain else -1) * max(1, most - left[0])

    def write_json(self, value, depth, most):
        if self.count_json(value, depth, most) <= 0:
            return None
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()

    def is_cancelled(self, run):
        return run in self.cancelled

    def lm_call(self, *call):
        self.calls.append(call)
        if call[2] is not None and call[2] in self.cancelled:
            raise RunCancelled("cancelled")
        answer = self.script(json.loads(call[7]))
        return completion(answer) if isinstance(answer, str) else answer

    def lm_told(self, *call):
        self.told.append(call)

    def lm_open(self, *arguments):
        *call, stream, callback = arguments
        try:
            status, headers, body = self.lm_call(*call)
        except TransportFailure as failure:
            callback(None, None, b"", True, failure)
            return len(self.calls)
        if stream:
            text = json.loads(body)["choices"][0]["message"]["content"]
            callback(200, [("content-type", "text/event-stream")], b"", False, None)
            for piece in (text[:5], text[5:]):
                delta = {"choices": [{"index": 0, "delta": {"content": piece}}]}
                data = f"data: {json.dumps(delta)}\n\n".encode()
                callback(None, None, data, False, None)
            stop = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
            end = f"data: {json.dumps(stop)}\n\ndata: [DONE]\n\n".encode()
            callback(None, None, end, True, None)
        else:
            callback(status, headers, body, True, None)
        return len(self.calls)

    def lm_drop(self, handle):
        pass

    def request_approval(self, run, cell, tool, arguments):
        self.asked.append((tool, json.loads(arguments)))
        return self.approvals.pop(0) if self.approvals else (False, "nobody is here")

    def read_input(self, cell, prompt, password):
        return self.inputs.pop(0) if self.inputs else None


def install():
    """Put it where the package imports it from."""
    native = sys.modules.get("_dspex") or Native()
    sys.modules["_dspex"] = native
    return native
