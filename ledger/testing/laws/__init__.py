"""The laws of the ledger, each as short tests; `ledger.testing.contract` puts them together."""
