// `npm start`: runs the example API, including all set-up. `npm start -- --tour` runs its tour and ends.
import { buildIfStale, installPackages, linkPackage } from './prepare.mjs'

installPackages()
buildIfStale()
linkPackage()

// In this process, so that whatever ends it ends the API as well.
await import('../examples/orders-api/server.js')
