import sys
from pathlib import Path

from setuptools import setup

sys.path.insert(0, str(Path(__file__).parent))

from cffi_build.build import lanes

setup(
    cffi_modules=["cffi_build/build.py:shm_builder", "cffi_build/build.py:reactor_builder"],
    ext_modules=[lanes()],
)
