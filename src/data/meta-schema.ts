import { Ajv2020 } from 'ajv/dist/2020.js'

/** What JSON Schema means here. */
export const DIALECT = 'https://json-schema.org/draft/2020-12/schema'

const text = { type: 'string' }
const flag = { type: 'boolean' }
const number = { type: 'number' }
const anything = true
const schema = { $ref: '#' }
const count = { type: 'integer', minimum: 0 }
const name = { type: 'string', pattern: '^[A-Za-z_][-A-Za-z0-9._]*$' }
const types = { enum: ['array', 'boolean', 'integer', 'null', 'number', 'object', 'string'] }
const texts = { type: 'array', items: text, uniqueItems: true }
const schemas = { type: 'array', minItems: 1, items: schema }
const each = (additionalProperties: object) => ({ type: 'object', additionalProperties })

/**
 * The meta-schema of JSON Schema draft 2020-12, in one piece. As it is published, each keyword that holds a schema looks up
 * which meta-schema is meant, so that others can be derived from it; that takes twice as long to compile, at each
 * start. A test compares the two.
 */
const META_SCHEMA = {
  type: ['object', 'boolean'],
  properties: {
    // Core
    $id: { type: 'string', pattern: '^[^#]*#?$' },
    $schema: text,
    $ref: text,
    $anchor: name,
    $dynamicRef: text,
    $dynamicAnchor: name,
    $recursiveRef: text,
    $recursiveAnchor: name,
    $vocabulary: each(flag),
    $comment: text,
    $defs: each(schema),
    definitions: each(schema),
    // Applicators
    prefixItems: schemas,
    items: schema,
    contains: schema,
    additionalProperties: schema,
    properties: each(schema),
    patternProperties: each(schema),
    dependentSchemas: each(schema),
    dependencies: each({ anyOf: [schema, texts] }),
    propertyNames: schema,
    if: schema,
    then: schema,
    else: schema,
    allOf: schemas,
    anyOf: schemas,
    oneOf: schemas,
    not: schema,
    unevaluatedItems: schema,
    unevaluatedProperties: schema,
    // Validation
    type: { anyOf: [types, { type: 'array', items: types, minItems: 1, uniqueItems: true }] },
    const: anything,
    enum: { type: 'array', items: anything },
    multipleOf: { type: 'number', exclusiveMinimum: 0 },
    maximum: number,
    exclusiveMaximum: number,
    minimum: number,
    exclusiveMinimum: number,
    maxLength: count,
    minLength: count,
    pattern: text,
    maxItems: count,
    minItems: count,
    uniqueItems: flag,
    maxContains: count,
    minContains: count,
    maxProperties: count,
    minProperties: count,
    required: texts,
    dependentRequired: each(texts),
    // Annotations
    title: text,
    description: text,
    default: anything,
    deprecated: flag,
    readOnly: flag,
    writeOnly: flag,
    examples: { type: 'array', items: anything },
    format: text,
    contentEncoding: text,
    contentMediaType: text,
    contentSchema: schema,
  },
}

/** A validator of schemas. */
export function compileMetaSchema() {
  const ajv = new Ajv2020({
    meta: false,
    validateSchema: false,
    strict: false,
    logger: false,
    code: { optimize: false },
  })
  return ajv.compile(META_SCHEMA)
}
