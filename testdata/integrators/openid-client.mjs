// An application with openid-client, which knows no more of the service than its URL. It asks for the
// state of the access token, too, and ends it.

import * as oauth from 'openid-client'

const { CHALLENGER, CLIENT_ID, CLIENT_SECRET, CALLBACK } = process.env
const config = await oauth.discovery(
  new URL(CHALLENGER), CLIENT_ID, undefined, oauth.ClientSecretBasic(CLIENT_SECRET),
  { algorithm: 'oauth2', execute: [oauth.allowInsecureRequests] })

export async function begin() {
  const kept = { state: oauth.randomState(), verifier: oauth.randomPKCECodeVerifier() }
  const url = await oauth.buildAuthorizationUrlWithPAR(config, {
    redirect_uri: CALLBACK, state: kept.state, scope: 'email',
    code_challenge: await oauth.calculatePKCECodeChallenge(kept.verifier),
    code_challenge_method: 'S256' })
  return [url.href, kept]
}

export async function finish(url, kept) {
  const { access_token: token } = await oauth.authorizationCodeGrant(config, new URL(url), {
    expectedState: kept.state, pkceCodeVerifier: kept.verifier })
  const proof = await oauth.fetchUserInfo(config, token, oauth.skipSubjectCheck)
  await oauth.fetchUserInfo(config, token, proof.sub)
  const before = await oauth.tokenIntrospection(config, token)
  await oauth.tokenRevocation(config, token)
  const after = await oauth.tokenIntrospection(config, token)
  return { ...proof, before, after }
}
