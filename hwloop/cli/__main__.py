"""Entry point of ``python -m hwloop.cli``."""

from hwloop.cli.main import main

if __name__ == "__main__":
    main()
