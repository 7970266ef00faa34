// npm start     then, in another terminal:
// curl -c jar -b jar -H 'Origin: http://127.0.0.1:3000' --json '{"name":"ann","password":"correct horse"}' http://127.0.0.1:3000/login
// curl -c jar -b jar http://127.0.0.1:3000/me
import { createServer } from 'node:http'
import { loginApi } from './api.js'

const { api, app, handler } = await loginApi({
  http: true,
  passwords: {
    ann: { password: 'correct horse', roles: ['clerk'] },
    mel: { password: 'battery staple', roles: ['manager'] },
  },
})

const server = createServer(handler).listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () =>
  console.log(`listens on http://127.0.0.1:${server.address().port}`),
)

console.log('To know before production:')
for (const { code, cause, fix } of api.check(app)) console.log(`  ${code}: ${cause}; ${fix}`)
