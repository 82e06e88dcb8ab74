"""States that differ only in numbers are one state: their numbers, and what is renamed with them."""
