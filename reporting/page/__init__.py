"""The report of a run for people: one HTML file that answers which explanation can be trusted, and says why."""
