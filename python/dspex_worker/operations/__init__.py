"""What the workbench can ask for: one file a family, found through `registry`."""
