"""One module per stage, host side: what goes in, what comes out, which image, which gates. `registry.py` lists them."""
