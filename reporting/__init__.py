"""Reports of a run for people: the terminal, tables, figures, the page, files for a paper, comparisons in words."""
