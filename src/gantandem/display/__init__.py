"""How numbers, points and images are shown: in reports, in the terminal and in notebooks."""
