import { _, type Ajv2020, type CodeKeywordDefinition, type KeywordCxt } from 'ajv/dist/2020.js'

/**
 * Makes `pattern` leave texts alone that are longer than the `maxLength` beside it allows. Where the first error ends the
 * examination, `maxLength` does that by itself, because it comes first. Where all errors are looked for, nothing ends it,
 * and an expression that backtracks would run over whatever was sent.
 */
export function patternWithin(ajv: Ajv2020): void {
  const known = ajv.getKeyword('pattern') as CodeKeywordDefinition
  ajv.removeKeyword('pattern')
  ajv.addKeyword({
    keyword: 'pattern',
    type: 'string',
    schemaType: 'string',
    error: known.error!,
    code(cxt: KeywordCxt) {
      const { maxLength } = cxt.parentSchema as { maxLength?: number }
      if (maxLength === undefined) return known.code(cxt)
      // A character counts once for `maxLength`, and has one or two units in `length`.
      cxt.gen.if(_`${cxt.data}.length <= ${2 * maxLength}`, () => known.code(cxt))
    },
  })
}
