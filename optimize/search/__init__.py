"""Which layers a static int8 graph leaves in floating point, and what int8 costs each of them."""
