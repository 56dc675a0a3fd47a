"""Looks at data: statistics, and a page that shows the rows of a run or the documents of a dataset."""
