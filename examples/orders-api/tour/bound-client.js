// A client whose tokens are bound to a key of its own (DPoP). Yours has a library for it, such as oauth4webapi.
import { dpopClient } from 'secure-api/testing'
import { AUDIENCE } from '../provider.js'

/** A client, its token, and a proof for each request that it makes. */
export async function boundClient(provider) {
  const client = dpopClient()
  const endpoint = `${provider.issuer}/token`
  const proof = client.proof('POST', endpoint, '', { claims: { ath: undefined } })
  const token = await provider.token('admin', AUDIENCE, { DPoP: proof })
  return { token, fields: (method, path) => client.fields(method, AUDIENCE + path, token) }
}
