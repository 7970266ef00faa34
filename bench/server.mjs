// One contestant in a process of its own: serves, and tells its CPU time and memory when asked.
import { createServer } from 'node:http'

const [, , module, variant, world] = process.argv
const { listener, credentials } = await import(`./contestants/${module}.mjs`)

const server = createServer(await listener(JSON.parse(world), variant))
server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port, credentials }))
// All threads of the process: garbage collection and the crypto pool count.
process.on('message', () => process.send({ cpu: process.cpuUsage(), rss: process.memoryUsage.rss() }))
// Whoever asks has gone.
process.on('disconnect', () => process.exit())
