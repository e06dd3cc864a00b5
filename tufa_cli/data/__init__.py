"""Packed faces: written once by ``tufa-cli pack``, read again and again by training."""
