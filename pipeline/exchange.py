"""Exchange two directories in one step, where the system can."""

import ctypes
import os
import sys
from pathlib import Path
from typing import Final

__all__ = ["exchange"]

_AT_FDCWD: Final = -100
_RENAME_EXCHANGE: Final = 2
"""Of Linux' renameat2(2). macOS has the same number for RENAME_SWAP of renamex_np(2)."""


def exchange(first: Path, second: Path) -> bool:
    """Exchange what two paths name, so that at no moment one of them names nothing.

    Returns:
        Whether that was done. Not every system and file system can; nothing has changed then.
    """
    names = os.fsencode(first), os.fsencode(second)
    try:
        library = ctypes.CDLL(None, use_errno=True)
        if sys.platform == "darwin":
            return bool(library.renamex_np(*names, ctypes.c_uint(_RENAME_EXCHANGE)) == 0)
        before, after = ((_AT_FDCWD, name) for name in names)
        return bool(library.renameat2(*before, *after, ctypes.c_uint(_RENAME_EXCHANGE)) == 0)
    except (OSError, AttributeError, TypeError):
        return False  # Windows has no such library, an old C library no such function
