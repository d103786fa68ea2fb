"""The commands of `toolkit`, one module each with a function `command`; see `minilm.cli.app`."""
