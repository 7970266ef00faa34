import { Ajv2020 } from 'ajv/dist/2020.js'

type Members = Record<string, unknown>

/**
 * A validator of schemas: the meta-schema of draft 2020-12 in one piece. As it is published, every keyword that holds a
 * schema looks up while validating which meta-schema is meant, so that others can be derived from it; nobody derives from
 * this one, and it compiles in half the time.
 */
export function compileMetaSchema() {
  const { schemas } = new Ajv2020({ logger: false })
  const $defs: Members = {}
  const properties: Members = {}
  for (const env of Object.values(schemas)) {
    const vocabulary = env?.schema as { $defs?: Members; properties?: Members }
    Object.assign($defs, vocabulary.$defs)
    Object.assign(properties, vocabulary.properties)
  }
  const whole = JSON.stringify({ type: ['object', 'boolean'], properties, $defs })
    .replaceAll('"$dynamicRef":"#meta"', '"$ref":"#"')
    .replaceAll(/"\$ref":"meta\/[a-z-]+#/g, '"$ref":"#')
  const ajv = new Ajv2020({
    meta: false,
    validateSchema: false,
    strict: false,
    logger: false,
    code: { optimize: false },
  })
  return ajv.compile(JSON.parse(whole) as Members)
}
