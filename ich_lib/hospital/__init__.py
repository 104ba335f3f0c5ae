"""The hospital side: studies come in over the network, are analyzed once, and results go back to the archives.

`settings` says who may send and where results go, `ledger` is the one truth of what was received, made and sent;
`receive`, `stow` and `pull` bring images in, `work` analyzes a closed series, `structured` and `capture` write what
`deliver` sends, and `listen` runs them all. Teaching and research: nothing that goes out may guide care.
"""
