"""Packages are listed here because setup.cfg cannot map ``schemes/`` into the package (README)."""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["tufa_cli", "tufa_cli.*"]), "tufa_cli.schemes.builtin"])
