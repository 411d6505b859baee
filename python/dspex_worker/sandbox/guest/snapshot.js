// Writes the memory of a Pyodide that has just started, with the guards in it,
// to the file named first; the second is the guards.

import real from "pyodide";

const [file, guards] = Deno.args;
const python = await real.loadPyodide({ _makeSnapshot: true });
python.runPython(await Deno.readTextFile(guards));
await Deno.writeFile(file, python.makeMemorySnapshot());
