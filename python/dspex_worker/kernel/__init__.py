"""The notebook's kernel: IPython's shell, its streams, input, completion, names."""
