"""Examples to be read, copied and run: scenarios, programs that pin, a driver, functions in the place of mm/'s."""
