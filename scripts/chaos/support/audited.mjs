// A server that puts each request on record and answers with its number, until it is ended in one of many ways.
import { createServer } from 'node:http'
import { audit } from 'secure-api'

const { path, key, durability } = JSON.parse(process.argv[2])
const onCheckpoint = (head) => process.connected && process.send({ head })
const said = []
const say = (text) => said.push(text)
const stage = audit(
  { ...(path && { file: { path, key, checkpointEvery: 100, onCheckpoint } }), durability },
  { log: { info: say, warn: say, error: say } },
)
let n = 0
const server = createServer((req, res) => {
  stage(req, res, () => {
    if (req.url === '/exit') process.exit(3)
    if (req.url === '/throw') throw new Error('as asked')
    if (req.url === '/stats') return res.end(JSON.stringify({ ...stage.stage.stats(), said, n }))
    req.security.record('test', { n: ++n })
    res.end(String(n))
  })
})
server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }))
process.once('disconnect', () => process.exit())
