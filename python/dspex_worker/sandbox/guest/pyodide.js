// What DSPy's runner takes for Pyodide: the same, started from a snapshot where
// there is one (ten times as quickly), with limits in place.

import real from "pyodide";
import { guest, signals } from "./guest.js";

const FOLDER = "/workspace";
const EPERM = 63;

/** The value of `--dspex-NAME=VALUE` on the command line. */
const option = (name) => {
  const start = `--dspex-${name}=`;
  return Deno.args.find((word) => word.startsWith(start))?.slice(start.length);
};

async function loadPyodide() {
  const [snapshot, guards, folder] = ["snapshot", "guards", "folder"].map(option);
  // Standard output belongs to the runner's messages; what is printed past Python's streams does not.
  const aside = (line) => console.error(line);
  const options = { stdout: aside, stderr: aside };
  if (snapshot) options._loadSnapshot = await Deno.readFile(snapshot);
  const python = await real.loadPyodide(options);
  if (!snapshot) python.runPython(await Deno.readTextFile(guards));
  guest.python = python;
  python.setInterruptBuffer(signals);
  refusePolitely(python.FS);
  answerPlainly(python);
  if (folder) {
    python.mountNodeFS(FOLDER, folder);
    python.FS.chdir(FOLDER);
  }
  // All snapshots would draw the same numbers.
  python.runPython("import random; random.seed(); del random");
  return python;
}

/** What Deno does not permit is a PermissionError in Python, not the end of Pyodide. */
function refusePolitely(FS) {
  const nodefs = FS.filesystems.NODEFS;
  const plain = nodefs.tryFSOperation;
  nodefs.tryFSOperation = (operation) =>
    plain(() => {
      try {
        return operation();
      } catch (error) {
        if (error instanceof Deno.errors.NotCapable) throw new FS.ErrnoError(EPERM);
        throw error;
      }
    });
}

/** Values and errors of code reach the runner as it can send them. */
function answerPlainly(python) {
  const { plain, tidy } = python.pyimport("_dspex_guest").toJs();
  const run = python.runPythonAsync.bind(python);
  python.runPythonAsync = async (code, options) => {
    try {
      const value = await run(code, options);
      if (typeof value === "bigint") return String(value);
      if (value === null || !["object", "function"].includes(typeof value)) return value;
      return JSON.parse(plain(value));
    } catch (error) {
      tidy();
      throw error;
    }
  };
}

export default { ...real, loadPyodide };
