"""Rows become graph elements: the one place that knows the mapping's rules. Pure functions over values.

`plan` joins a mapping with a catalogue; `coalesce` finds the net change per row of a batch; `batch` projects that into
the element changes that a sink applies in order.
"""
