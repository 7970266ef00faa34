import * as fs from 'node:fs'
import { AuditLock } from '../../src/observe/audit-lock.js'
import { scratch } from './support/trail.js'

/** Called before each call that changes the file system, so that others can get in between. */
let before: () => void = () => undefined

jest.mock('node:fs', () => {
  const real = jest.requireActual<typeof fs>('node:fs')
  const hooked = ['openSync', 'linkSync', 'readFileSync', 'renameSync', 'statSync', 'unlinkSync'] as const
  return {
    ...real,
    ...Object.fromEntries(
      hooked.map((name) => [
        name,
        (...call: unknown[]): unknown => {
          before()
          return (real[name] as (...call: unknown[]) => unknown)(...call)
        },
      ]),
    ),
  }
})

const files = scratch()
const held: AuditLock[] = []
afterEach(() => {
  before = () => undefined
  for (const lock of held.splice(0)) lock.release()
})

/** A lock, or `undefined` if somebody else has it. */
function attempt(): AuditLock | undefined {
  try {
    const lock = new AuditLock(files.path('trail'))
    held.push(lock)
    return lock
  } catch {
    return undefined
  }
}

const DEAD = { pid: 2 ** 22 + 1, started: '1' }

test('of three that meet the lock of a dead process one has it, whatever comes between their steps', () => {
  files.write('trail.lock', staleOf(DEAD))
  let steps = 0
  before = () => steps++
  attempt()
  before = () => undefined
  for (const lock of held.splice(0)) lock.release()
  expect(steps).toBeGreaterThan(3)

  for (let second = 1; second <= steps; second++) {
    for (let third = second; third <= steps + 2; third++) {
      files.write('trail.lock', staleOf(DEAD))
      let step = 0
      before = () => {
        step++
        if (step !== second && step !== third) return
        const hook = before
        before = () => undefined
        if (step === second) attempt()
        if (step === third) attempt()
        before = hook
      }
      attempt()
      before = () => undefined
      expect({ second, third, holders: held.length }).toEqual({ second, third, holders: 1 })
      for (const lock of held.splice(0)) lock.release()
      expect(fs.readdirSync(files.path('.'))).toEqual([])
    }
  }
})

test('what was left by a process that died while it took a lock over is taken over as well', () => {
  files.write('trail.lock', staleOf(DEAD))
  let left: string[] = []
  before = () => {
    const names = fs.readdirSync(files.path('.')).filter((name) => name !== 'trail.lock')
    if (names.length > 0) left = names
  }
  const stale = fs.readFileSync(files.path('trail.lock'), 'latin1')
  attempt()!.release()
  before = () => undefined
  expect(left).toHaveLength(1)

  files.write('trail.lock', stale)
  files.write(left[0]!, staleOf({ ...DEAD, started: '2' }))
  expect(attempt()).toBeDefined()
  expect(fs.readdirSync(files.path('.'))).toEqual(['trail.lock'])
})

test.each([
  ['another process that is dead', DEAD],
  ['a process that had the id of this one', { pid: process.pid, started: '1' }],
])('a lock of %s is taken over at once', (_whose, holder) => {
  files.write('trail.lock', staleOf(holder))
  expect(attempt()).toBeDefined()
})

test.each([
  ['another machine', () => staleOf({ home: 'elsewhere' })],
  [
    'another container with our host name and process id',
    () => staleOf({ started: '1', home: containerOf(1) }),
  ],
  ['nobody, because it is empty', () => ''],
  ['nobody, because it is nonsense', () => 'nonsense'],
  ['nobody, because it is JSON of something else', () => '[]'],
])('a lock of %s is believed for as long as it shows that it lives', (_whose, text) => {
  const lock = files.write('trail.lock', text())
  expect(attempt()).toBeUndefined()
  const minuteAgo = new Date(fs.statSync(lock).mtimeMs - 60_000)
  fs.utimesSync(lock, minuteAgo, minuteAgo)
  expect(attempt()).toBeDefined()
})

test('a lock that another process puts there while we restore ours is not taken for ours', () => {
  const lock = attempt()!
  fs.unlinkSync(files.path('trail.lock'))
  let calls = 0
  before = () => {
    if (++calls === 2) files.write('trail.lock', 'somebody else')
  }
  expect(() => lock.ensure()).toThrow('another process')
})

/** What a process of this place leaves behind when it is killed, with some of it changed. */
function staleOf(holder: object): string {
  const lock = new AuditLock(files.path('probe'))
  const own = JSON.parse(fs.readFileSync(files.path('probe.lock'), 'latin1')) as object
  lock.release()
  return JSON.stringify({ ...own, ...holder })
}

/** The same host and kernel, in another container. */
const containerOf = (pid: number): string =>
  (JSON.parse(staleOf({})) as { home: string }).home.replace(/pid:\[\d+\]/, `pid:[${pid}]`)
