"""Where ledgers are kept. `base` is the port; each other module is one engine behind it."""
