// What DSPy's runner reads its requests with. It stands in for a module of
// deno.land (see `deno.py`) and keeps a few requests for itself: those with a
// member `dspex`, which set limits, mount the working folder and report.

import { clock, guest, memory, say } from "./guest.js";

const decoder = new TextDecoder();

/** The lines of standard input, one by one. */
export async function* readLines(_reader) {
  const chunks = Deno.stdin.readable[Symbol.asyncIterator]();
  let parts = [];
  while (true) {
    clock.pause();
    const { value, done } = await chunks.next();
    clock.resume();
    if (done) return;
    let rest = value;
    for (let end; (end = rest.indexOf(10)) >= 0; rest = rest.subarray(end + 1)) {
      const line = text([...parts, rest.subarray(0, end)]);
      parts = [];
      const own = request(line);
      if (own) answer(own);
      else yield line;
    }
    parts.push(rest.slice());
  }
}

function text(parts) {
  return parts.map((part) => decoder.decode(part, { stream: true })).join("") + decoder.decode();
}

function request(line) {
  if (!line.startsWith('{"dspex":')) return null;
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}

function answer(own) {
  switch (own.dspex) {
    case "arm":
      memory.limit(own.memory_mb);
      clock.arm(own.timeout_ms);
      return;
    case "report": {
      clock.disarm();
      say({ dspex: own.id, ...streams(), memory_mb: memory.used() });
      return;
    }
    default:
      say({ dspex: own.id, error: `there is no request ${own.dspex}` });
  }
}

/** What the last piece of code printed; the runner keeps both in these globals. */
function streams() {
  const read = (name) => {
    try {
      return String(guest.python.runPython(`globals()[${JSON.stringify(name)}].getvalue()`));
    } catch {
      return "";
    }
  };
  return { stdout: read("buf_stdout"), stderr: read("buf_stderr") };
}
