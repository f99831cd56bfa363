"""The report of a run for people: one HTML file that answers which explanation can be trusted, and says why."""

from scoring.page.content import Condition, Finished, Headline, HeadlineLine
from scoring.page.write import write_page

__all__ = ["Condition", "Finished", "Headline", "HeadlineLine", "write_page"]
