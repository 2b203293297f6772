"""Reports for people who weren't there: what happened to one campaign, and what the next shift has to know."""
