"""Does the score follow what the explanation calls important? Metrics that remove, restore or perturb pixels."""
