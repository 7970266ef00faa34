// A request as a line for the shell.
import { text, usual } from './probe.js'

/** @param {string} origin @param {import('./requests.js').TourRequest} request */
export function curl(origin, { method = 'GET', path, token, headers = {}, body, times = 1 }) {
  const fields = Object.entries({ ...usual(token, body), ...headers }).flatMap(([name, values]) =>
    [values].flat().map((value) => `-H ${quoted(`${name}: ${value}`)}`),
  )
  const line = [
    'curl -i --path-as-is',
    method === 'GET' ? '' : `-X ${method}`,
    ...fields,
    body === undefined ? '' : `-d ${quoted(text(body))}`,
    quoted(origin + path),
  ]
    .filter(Boolean)
    .join(' ')
  return times === 1 ? line : `for i in $(seq ${times}); do ${line}; echo; done`
}

function quoted(value) {
  return `'${value.replaceAll("'", `'\\''`)}'`
}
