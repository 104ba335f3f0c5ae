"""The hospital side: receive studies over the network, analyze each once, and send the results to archives.

`settings` defines the allowed senders and the targets. `ledger` records everything that was received, made and sent.
`receive`, `stow` and `pull` accept images, `work` analyzes a closed series, `structured` and `capture` write the files
that `deliver` sends, and `listen` runs them all. Teaching and research: the results must not be used for the care of a
patient.
"""
