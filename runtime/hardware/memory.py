"""Memory that was freed, back to the system."""

import ctypes
import sys
from typing import Final

__all__ = ["return_freed_memory"]

_MMAP_THRESHOLD: Final = -3
"""M_MMAP_THRESHOLD of glibc's malloc.h."""
_LARGE_BYTES: Final = 4 << 20


def return_freed_memory() -> None:
    """Ask the C library to give pages that hold nothing any more back to the system.

    glibc keeps what a graph and a tokenizer took, in an arena for each thread that took it: a
    process that loads and closes encoders came to a gigabyte. The end of an arena stays even so,
    which is where the content of a file goes once blocks of that size have been freed before; from
    now on such blocks are mapped by themselves, as they are when a process begins. Elsewhere this
    does nothing.
    """
    if not sys.platform.startswith("linux"):
        return
    library = ctypes.CDLL(None)
    trim = getattr(library, "malloc_trim", None)  # musl has none
    if trim is not None:
        library.mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)
        trim(0)
