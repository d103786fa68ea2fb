"""Memory that was freed, back to the system."""

import ctypes
import sys

__all__ = ["return_freed_memory"]


def return_freed_memory() -> None:
    """Ask the C library to give pages that hold nothing any more back to the system.

    glibc keeps what a graph and a tokenizer took, in an arena for each thread that took it: a
    process that loads and closes encoders came to a gigabyte. Elsewhere this does nothing.
    """
    if not sys.platform.startswith("linux"):
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
    if trim is not None:
        trim(0)
