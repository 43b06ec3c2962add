"""``python -m analytics.cli``."""

from analytics.cli.app import main

if __name__ == "__main__":
    main()
