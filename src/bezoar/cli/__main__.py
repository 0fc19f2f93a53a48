"""`python -m bezoar.cli`."""

from bezoar.cli import main

if __name__ == "__main__":
    main()
