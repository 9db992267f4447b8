"""Experiments of any DVC repository side by side in TensorBoard: find, link, watch, serve.

The room `repository` tells which revisions are shown and under what name, and `where` which for their
values. `results` and `live` find the event files of those that have ended and of those that are running;
`watch` knows which are running, and `life` when one has ended. `view` links the files into one tree,
`rows` adds the rows of HParams and, by `message`, what commits say; `shown` is both. `server` shows the tree
in TensorBoard. `board` puts these together and keeps them up to date.
"""
