"""`python -m charrnn` is the command `charrnn`."""

from charrnn.cli import main

main()
