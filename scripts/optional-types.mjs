/**
 * Build plugin: whoever uses a part of the package that does without an optional package compiles without that package too, also
 * with `skipLibCheck: false`. Where its types are missing, what has them is `any`.
 *
 * @param {readonly string[]} packages
 * @returns {import('rolldown').Plugin}
 */
export function optionalTypes(packages) {
  const imports = new RegExp(`^import [^\\n]* from "(?:${packages.join('|')})";$`, 'gm')
  return {
    name: 'optional-types',
    renderChunk(code, { fileName }) {
      if (!/\.d\.c?ts$/.test(fileName) || code.search(imports) === -1) return null
      return code.replace(imports, '// @ts-ignore -- optional: any where it is not installed\n$&')
    },
  }
}
