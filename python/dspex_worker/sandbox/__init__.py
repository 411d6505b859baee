"""Where generated code runs: DSPy's sandbox, made quick, limited and seen.

`interpreter.Sandbox` is DSPy's `PythonInterpreter` with limits, a warm spare and
an account of what each piece of code did; it takes that class's place. `local`
is the one way to run code outside of it, on explicit request. `fallback` has the
modules that answer without execution where code cannot be run.
"""
