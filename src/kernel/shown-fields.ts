import type { OutgoingHttpHeader, OutgoingHttpHeaders, ServerResponse } from 'node:http'

/** The methods by which a response tells its header fields, as plain functions. */
export interface Shown {
  getHeader: (name: string) => OutgoingHttpHeader | undefined
  getHeaders: () => OutgoingHttpHeaders
  getHeaderNames: () => string[]
  getRawHeaderNames: () => string[]
  hasHeader: (name: string) => boolean
}

const FIELDS = Symbol('secure-api.fields')

type Told = Shown & { [FIELDS]: readonly OutgoingHttpHeader[] }

/** Node does not keep fields that it was not given one by one, and many want to see them when a reply is over. */
export function showFields(res: ServerResponse, fields: readonly OutgoingHttpHeader[]): void {
  const told = res as unknown as Told
  told[FIELDS] = fields
  told.getHeader = getHeader
  told.getHeaders = getHeaders
  told.getHeaderNames = getHeaderNames
  told.getRawHeaderNames = getRawHeaderNames
  told.hasHeader = hasHeader
}

function getHeader(this: Told, name: string): OutgoingHttpHeader | undefined {
  return getHeaders.call(this)[name.toLowerCase()]
}

function getHeaders(this: Told): OutgoingHttpHeaders {
  const fields = this[FIELDS]
  const found = Object.create(null) as OutgoingHttpHeaders
  for (let i = 0; i < fields.length; i += 2) found[(fields[i] as string).toLowerCase()] = fields[i + 1]
  return found
}

function getHeaderNames(this: Told): string[] {
  return Object.keys(getHeaders.call(this))
}

function getRawHeaderNames(this: Told): string[] {
  return this[FIELDS].filter((_, i): _ is string => i % 2 === 0)
}

function hasHeader(this: Told, name: string): boolean {
  return name.toLowerCase() in getHeaders.call(this)
}
