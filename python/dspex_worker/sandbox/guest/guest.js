// The limits of the Python in here, and the way to speak to the host. Real
// walls are Deno's permissions and the process's own limits; these make code
// that goes too far fail as Python code fails, with the interpreter kept.

const PAGE = 65536;
const write = console.log.bind(console);
const now = performance.now.bind(performance);
const stringify = JSON.stringify;

/** The Pyodide that runs here, once it is loaded. */
export const guest = { python: null };

/** Writes one message for the host. */
export function say(message) {
  write(stringify(message));
}

/** The time code may take. Waiting for the host does not count. */
export const clock = {
  deadline: Infinity,
  paused: null,
  arm(ms) {
    this.deadline = now() + ms;
  },
  disarm() {
    this.deadline = Infinity;
  },
  pause() {
    this.paused = now();
  },
  resume() {
    if (this.paused !== null) this.deadline += now() - this.paused;
    this.paused = null;
  },
};

/** What Pyodide takes for its buffer of signals: reads SIGINT once time is up. */
export const signals = {
  get 0() {
    if (now() < clock.deadline) return 0;
    clock.disarm();
    return 2;
  },
  set 0(_value) {},
};

let most = Infinity;

/** The memory Python may take. */
export const memory = {
  limit(mb) {
    most = mb * 2 ** 20;
  },
  used() {
    return Math.round((guest.python?._module.HEAP8.byteLength ?? 0) / 2 ** 20);
  },
};

const grow = WebAssembly.Memory.prototype.grow;
WebAssembly.Memory.prototype.grow = function (pages) {
  if (this.buffer.byteLength + pages * PAGE > most) throw new RangeError("the memory limit is reached");
  return grow.call(this, pages);
};
