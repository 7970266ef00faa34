// People who log in, in a browser. What one step answers, the next one needs, so that this is a script and no list.
import { stepsUp } from './factors.js'
import { hasNoPlaceHere, isEndedFromThere, logsIn, logsOut } from './logins.js'
import { Person } from './person.js'

/**
 * @param {(request: object) => Promise<object>} send
 * @param {string} origin where browsers reach the API
 * @param {{ issuer: string }} provider
 */
export async function peopleRows(send, origin, { issuer }) {
  const tour = { send, origin, issuer, rows: [] }
  const tess = new Person(tour)
  await logsIn(tess)
  const secret = await stepsUp(tess)
  await logsOut(tess)
  await isEndedFromThere(tess)
  await hasNoPlaceHere(new Person(tour))
  return { rows: tour.rows, secrets: [secret, ...tess.here.values] }
}
