"""One picture or film examined: which heat map of a detector's verdict to believe, and what it rests on."""
