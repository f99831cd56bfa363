"""From a frame to rows of scores: runs on disk, metrics, statistics, tables."""
