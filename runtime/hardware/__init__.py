"""The machine: its processor, GPU and installed backends."""
