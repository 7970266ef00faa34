// Runs the tours of several copies of the orders API, one after another. Each copy is loaded anew; Node, the package and what it
// depends on are loaded and warm once.
import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

// To make RSA keys takes longer than all the rest of a tour. No two of one tour are the same.
const { generateKeyPairSync } = crypto
const keys = Array.from({ length: 4 }, () => generateKeyPairSync('rsa', { modulusLength: 2048 }))
let next = 0
crypto.generateKeyPairSync = (type, options) =>
  type === 'rsa' ? keys[next++ % keys.length] : generateKeyPairSync(type, options)
syncBuiltinESMExports()

process.on('message', async (folder) => {
  const lines = []
  console.log = (text) => lines.push(text)
  try {
    const { tour } = await import(pathToFileURL(join(folder, 'tour/tour.js')).href)
    process.send({ kept: await tour(), output: lines.join('\n') })
  } catch (error) {
    process.send({ error: String(error?.stack) })
  }
})
