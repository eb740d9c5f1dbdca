"""``python -m jangbu`` is the ``jangbu`` command."""

from jangbu.cli.main import main

if __name__ == "__main__":
    main()
