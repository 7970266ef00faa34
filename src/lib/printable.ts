/** Characters that could end a line, move a terminal's cursor, reorder or hide text: control, format, surrogate, private, unassigned, separators. */
const UNSAFE = /[\p{C}\p{Zl}\p{Zp}]/gu
const PLAIN = /^[\x20-\x7e]*$/

/** Text from anywhere, fit for one line of a log or a terminal: unsafe characters become a visible `\uXXXX` (ASVS 16.4.1). */
export function printable(text: string): string {
  return PLAIN.test(text) ? text : text.replace(UNSAFE, escaped)
}

/** Each UTF-16 unit as `\uXXXX`. */
export function escaped(characters: string): string {
  let text = ''
  for (let i = 0; i < characters.length; i++) {
    text += `\\u${characters.charCodeAt(i).toString(16).padStart(4, '0')}`
  }
  return text
}
