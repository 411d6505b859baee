//! The line REPL: rustyline over the same core and commands.
