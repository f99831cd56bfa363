"""What every package needs: errors for bad input, seeds, atomic files, names on the command line."""
