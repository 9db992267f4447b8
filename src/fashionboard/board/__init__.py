"""Experiments of any DVC repository side by side in TensorBoard: find, link, watch, serve.

git tells which revisions there are, `selection` which of them are shown and under what name, `where`
which for their values; `commits` knows what was said of them, which `card` shows as text;
`recorded` and `live` find the event files of those that have ended and of those that are running;
`view` links them into one tree, `rows` adds the HParams tab's rows, `server` shows the tree in
TensorBoard; `board` puts these together and keeps them up to date.
"""
