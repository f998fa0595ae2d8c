"""`python -m symsi`."""

from symsi.cli import main

if __name__ == "__main__":
    main()
