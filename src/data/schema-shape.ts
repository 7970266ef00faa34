import type { Shape, ValueTypes } from './checker.js'

type Schema = Readonly<Record<string, unknown>>

/** Nothing is known. */
export const OPEN: Shape = { names: undefined, types: new Map() }

/**
 * Reads from a JSON Schema which members its root may have and of which types, through local references and
 * combinators. This tells lists from single values and numbers from text where all that arrives is text. What it cannot
 * tell stays text; the schema has the last word.
 */
export function shapeOf(root: Schema): Shape {
  const { schemas, complete } = inPlace([root], root)
  const open = schemas.some(
    ({ patternProperties, additionalProperties, unevaluatedProperties }) =>
      patternProperties !== undefined || !closes(additionalProperties) || !closes(unevaluatedProperties),
  )

  const properties = new Map<string, Schema[]>()
  for (const schema of schemas) {
    if (!isSchema(schema.properties)) continue
    for (const [name, property] of Object.entries(schema.properties)) {
      const known = properties.get(name) ?? []
      properties.set(name, isSchema(property) ? [...known, property] : known)
    }
  }
  const types = new Map([...properties].map(([name, found]) => [name, valueTypes(found, root)]))
  return { names: open || !complete ? undefined : new Set(types.keys()), types }
}

function valueTypes(property: readonly Schema[], root: Schema): ValueTypes {
  const { schemas } = inPlace(property, root)
  const items = schemas.map((schema) => schema.items).filter(isSchema)
  return { own: typesOf(schemas), items: typesOf(inPlace(items, root).schemas) }
}

/** All schemas that judge the same value as `start` does. Not `complete`: some of them cannot be found from here. */
function inPlace(start: readonly Schema[], root: Schema): { schemas: readonly Schema[]; complete: boolean } {
  const found = new Set<Schema>()
  const pending = [...start]
  let complete = true
  for (let schema = pending.pop(); schema !== undefined; schema = pending.pop()) {
    if (found.has(schema)) continue
    found.add(schema)
    for (const keyword of ['allOf', 'anyOf', 'oneOf']) pending.push(...schemasIn(schema[keyword]))
    pending.push(...schemasIn([schema.then, schema.else]), ...schemasIn(schema.dependentSchemas))
    if (schema.$dynamicRef !== undefined) complete = false
    if (schema.$ref === undefined) continue
    const target = resolve(schema.$ref, root)
    if (isSchema(target)) pending.push(target)
    else complete = false
  }
  return { schemas: [...found], complete }
}

function schemasIn(value: unknown): Schema[] {
  return typeof value === 'object' && value !== null ? Object.values(value).filter(isSchema) : []
}

/** `#` and `#/a/b`; other references are left to the compiler. */
function resolve(reference: unknown, root: Schema): unknown {
  if (typeof reference !== 'string' || !/^#(?:\/|$)/.test(reference)) return undefined
  let target: unknown = root
  for (const step of reference.split('/').slice(1)) {
    if (!isSchema(target)) return undefined
    target = target[decodeURIComponent(step).replaceAll('~1', '/').replaceAll('~0', '~')]
  }
  return target
}

function typesOf(schemas: readonly Schema[]): ReadonlySet<string> {
  return new Set(
    schemas.flatMap(({ type, const: constant, enum: values }) => {
      if (typeof type === 'string') return [type]
      if (Array.isArray(type)) return type as string[]
      if (Array.isArray(values)) return values.map(typeName)
      return constant === undefined ? [] : [typeName(constant)]
    }),
  )
}

function typeName(value: unknown): string {
  if (value === null) return 'null'
  return Array.isArray(value) ? 'array' : typeof value
}

function closes(keyword: unknown): boolean {
  return keyword === undefined || keyword === false
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
