"""Core forms to the forms people write: what expansion did, undone. Begin with `yang.surface.rules`."""
