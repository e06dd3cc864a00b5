"""``python -m tufa_cli``."""

from tufa_cli.cli import main

if __name__ == "__main__":
    main()
