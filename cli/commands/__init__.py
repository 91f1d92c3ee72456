"""The subcommands of `yin`, imported one at a time."""
