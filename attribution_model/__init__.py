"""The attribution classifier: training it, testing it, and its small demo weights."""
