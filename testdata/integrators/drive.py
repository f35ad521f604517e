"""Plays an application: prints where to send the browser, reads where it ended up, prints the proof."""

import json

from application import begin, finish

url, kept = begin()
print(url, flush=True)
print(json.dumps(finish(input(), kept)))
