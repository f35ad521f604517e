// An application with oauth4webapi, which knows no more of the service than its URL. It asks for the
// state of the access token, too, and ends it.

import * as oauth from 'oauth4webapi'

const { CHALLENGER, CLIENT_ID, CLIENT_SECRET, CALLBACK } = process.env
const issuer = new URL(CHALLENGER)
const client = { client_id: CLIENT_ID }
const secret = oauth.ClientSecretPost(CLIENT_SECRET)
const http = { [oauth.allowInsecureRequests]: true }

const metadata = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...http })
const server = await oauth.processDiscoveryResponse(issuer, metadata)

export async function begin() {
  const kept = { state: oauth.generateRandomState(), verifier: oauth.generateRandomCodeVerifier() }
  const request = new URLSearchParams({
    response_type: 'code', redirect_uri: CALLBACK, state: kept.state,
    code_challenge: await oauth.calculatePKCECodeChallenge(kept.verifier),
    code_challenge_method: 'S256' })
  const response = await oauth.pushedAuthorizationRequest(server, client, secret, request, http)
  const { request_uri } =
    await oauth.processPushedAuthorizationResponse(server, client, response)
  const url = new URL(server.authorization_endpoint)
  url.search = new URLSearchParams({ client_id: CLIENT_ID, request_uri })
  return [url.href, kept]
}

export async function finish(url, kept) {
  const back = oauth.validateAuthResponse(server, client, new URL(url), kept.state)
  const granted = await oauth.authorizationCodeGrantRequest(
    server, client, secret, back, CALLBACK, kept.verifier, http)
  const { access_token: token } =
    await oauth.processAuthorizationCodeResponse(server, client, granted)
  const info = await oauth.userInfoRequest(server, client, token, http)
  const proof = await oauth.processUserInfoResponse(server, client, oauth.skipSubjectCheck, info)
  const before = await introspect(token)
  await oauth.processRevocationResponse(
    await oauth.revocationRequest(server, client, secret, token, http))
  return { ...proof, before, after: await introspect(token) }
}

async function introspect(token) {
  const response = await oauth.introspectionRequest(server, client, secret, token, http)
  return oauth.processIntrospectionResponse(server, client, response)
}
