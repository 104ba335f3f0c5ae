"""Whole archives of scans: a line for each scan, once and only once, on all cores or on other machines.

`studies` lists the scans, `score` makes one line of one of them, `lines` keeps the lines, `crew` runs all, `report`
makes the page.
"""
