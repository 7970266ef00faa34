import { spawnSync } from 'node:child_process'
import { isBuilt } from '../../scripts/prepare.mjs'
import { ROOT } from '../support/source-tree.js'

/** Node itself, because Jest has a loader of its own. */
const SCRIPT = `
  import { bearer, secureApi } from './dist/index.js'
  import { localIssuer } from './dist/testing.js'
  const issuer = localIssuer()
  const { issuer: name, audience } = issuer
  const method = bearer({ issuer: name, audience, dpop: { baseUrls: 'https://api.test' } })
  const api = secureApi({ auth: [method], fetch: issuer.fetch })
  await api.ready()
  await api.close()
  console.log('ready')
`

test('a process that imports jose and what requires it at the same time gets both', () => {
  if (!isBuilt()) throw new Error('dist is missing or older than its sources. Run: npm run build')
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', SCRIPT], {
    cwd: ROOT,
    encoding: 'utf8',
  })
  expect(stderr).toBe('')
  expect(stdout).toBe('ready\n')
})
