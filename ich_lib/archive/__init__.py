"""Archives of scans: exactly one line for each scan, computed on all cores or on other machines.

`studies` lists the scans, `score` makes the line of one scan, `lines` stores the lines, `crew` runs everything, and
`report` makes the page.
"""
