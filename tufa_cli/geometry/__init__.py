"""Shapes, planes and crops as plain arrays: no files, no schemes, no torch."""
