// Which packages are loaded once `secure-api` is, before it is asked for anything.
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)
if (process.argv[2] === 'import') await import('secure-api')
else require('secure-api')

const names = Object.keys(require.cache).map((file) => file.split('node_modules/').at(-1).split('/')[0])
console.log(JSON.stringify([...new Set(names)]))
