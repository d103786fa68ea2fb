"""What the encoder's products read for typical texts, and int8 codes that suit it.

Everything here is computed in float64 and rounded once at the end. float32 kernels add in an order
that depends on the processor, so that codes which follow from their sums would, too.
"""
