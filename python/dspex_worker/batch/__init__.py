"""A program over a file of inputs: `rows` reads, `ledger` keeps, `work` runs."""
