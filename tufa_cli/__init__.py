"""tufa-cli: any pile of face-landmark datasets into one model, and that model into any scheme."""

__version__ = "0.1.0"
