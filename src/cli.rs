//! The command line: arguments, exit codes, and which front end they start.
