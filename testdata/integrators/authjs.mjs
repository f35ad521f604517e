// A web site on 127.0.0.1 that logs people in with Auth.js, as its first page says.

import { Auth } from '@auth/core'
import { webcrypto } from 'node:crypto'
import { createServer } from 'node:http'
import { challenger } from './application.mjs'

// Node.js 18 hides it.
globalThis.crypto ??= webcrypto

const config = {
  basePath: '/auth',
  providers: [challenger],
  secret: 'only for tests, so everybody may know it',
  trustHost: true,
}

async function respond(request) {
  const { pathname, origin } = new URL(request.url)
  if (pathname.startsWith('/auth/')) return Auth(request, config)
  if (pathname !== '/') return new Response(null, { status: 404 })
  const session = await Auth(new Request(`${origin}/auth/session`, request), config)
  const { user } = (await session.json()) ?? {}
  const sentence = user ? `Logged in as ${user.email}` : 'Not logged in'
  return new Response(`<!DOCTYPE html><title>Site</title>${sentence}`,
    { headers: { 'Content-Type': 'text/html; charset=utf-8' } })
}

const server = createServer(async (incoming, outgoing) => {
  const parts = []
  for await (const part of incoming) parts.push(part)
  const { method, headers, url } = incoming
  const body = method === 'POST' ? Buffer.concat(parts) : undefined
  const response = await respond(new Request(`http://${headers.host}${url}`, { method, headers, body }))
  for (const [name, value] of response.headers) outgoing.appendHeader(name, value)
  outgoing.writeHead(response.status)
  outgoing.end(Buffer.from(await response.arrayBuffer()))
})
server.listen(0, '127.0.0.1', () => console.log(`http://localhost:${server.address().port}`))
