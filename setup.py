"""Compiles the native encoder when the package is built; all else stands in pyproject.toml.

The library is reached by ctypes, so one build serves every Python: the wheel is py3-none-PLATFORM.
Without a C++ compiler the build says so and goes on, and the wheel is py3-none-any.
"""

import importlib.util
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).parent
spec = importlib.util.spec_from_file_location("native_build", ROOT / "runtime/native/build.py")
native = importlib.util.module_from_spec(spec)
spec.loader.exec_module(native)


class BuildNative(build_ext):
    """Compiles the sources by their own flags, as a plain shared library."""

    def build_extension(self, ext):
        """Compile all, or warn: without the library the package works, too."""
        output = Path(self.get_ext_fullpath(ext.name))
        try:
            native.compile_library(output, Path(self.build_temp) / "native")
        except native.CompilationFailed as error:
            self.warn(f"the native encoder is left out: {error}")

    def get_ext_filename(self, fullname):
        """Path of the library, without the name of a Python's ABI."""
        return str(Path(*fullname.split(".")[:-1], native.LIBRARY_NAME))


class Wheel(bdist_wheel):
    """A wheel for every Python; for every platform, too, if there is no compiled library in it."""

    def get_tag(self):
        """Python, ABI and platform."""
        compiled = any(Path(self.bdist_dir).rglob(native.LIBRARY_NAME))
        return "py3", "none", super().get_tag()[2] if compiled else "any"


setup(
    cmdclass={"build_ext": BuildNative, "bdist_wheel": Wheel},
    ext_modules=[Extension("minilm.runtime.native.minilm_native", sources=[], optional=True)],
)
