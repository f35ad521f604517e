// Plays an application: prints where to send the browser, reads where it ended up, prints the proof.

import { webcrypto } from 'node:crypto'
import { createInterface } from 'node:readline'

// Node.js 18 hides it.
globalThis.crypto ??= webcrypto
const { begin, finish } = await import('./application.mjs')

const [url, kept] = await begin()
console.log(url)
for await (const back of createInterface(process.stdin)) {
  console.log(JSON.stringify(await finish(back, kept)))
  break
}
