"""Does the explanation point at the manipulated pixels? Metrics that need the mask."""
