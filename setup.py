from setuptools import setup

setup(cffi_modules=["cffi_build/build.py:shm_builder", "cffi_build/build.py:reactor_builder"])
