// `npm run fuzz`: the tests that use fast-check, round after round, each with a seed of its own. Stops at the first failure.
// `npm run fuzz -- test/lib/strict-json.test.ts` runs some of them; FUZZ_ROUNDS says how often.
import { spawnSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'

const rounds = Number(process.env.FUZZ_ROUNDS ?? 20)
const files = process.argv.length > 2 ? process.argv.slice(2) : filesWithProperties()

for (let round = 1; round <= rounds; round++) {
  const seed = randomInt(2 ** 31)
  console.log(`round ${round} of ${rounds}: FUZZ_SEED=${seed}, ${files.length} files`)
  const { status } = spawnSync('npx', ['jest', ...files], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, FUZZ_SEED: String(seed) },
  })
  if (status === 0) continue
  console.error(
    `Failed with FUZZ_SEED=${seed}. Keep the case that is printed above: as an example, or as a test.`,
  )
  process.exit(1)
}

function filesWithProperties() {
  return readdirSync('test', { recursive: true })
    .map((file) => `test/${file}`)
    .filter((file) => file.endsWith('.test.ts') && readFileSync(file, 'utf8').includes("from 'fast-check'"))
}
