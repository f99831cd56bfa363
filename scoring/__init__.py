"""One frame in, one result out: its explanations, the attacks on their regions, flip thresholds and metrics."""
