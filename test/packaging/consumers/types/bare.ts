// A project without Express and without supertest: nothing here may ask for their types.
import { createServer } from 'node:http'
import { bearer, contextOf, secureApi } from 'secure-api'
import { redis } from 'secure-api/stores/redis'
import { fakeClock, localIssuer } from 'secure-api/testing'

const api = secureApi({ auth: [bearer({ issuer: 'https://id.example.com', audience: 'orders' })] })
export const server = createServer(api.protect((req, res) => res.end(contextOf(req)?.principal?.subject)))
export const token: string = localIssuer({ clock: fakeClock() }).mint()
export { redis }
