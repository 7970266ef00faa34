/** Longer ones would mostly repeat what the client sent; a prefix still names the place. */
const MAX_LENGTH = 256

/** One step of a JSON Pointer (RFC 6901 section 3), with its slash. */
export function pointerStep(name: string): string {
  return `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`
}

/**
 * A JSON Pointer as a URI fragment (RFC 6901 section 6), the form of RFC 9457: `#/a~1b/0`. What is too long, or cannot
 * be written in a URI, is cut back to an ancestor.
 *
 * @param pointer steps that are escaped already
 */
export function pointerFragment(pointer: string): string {
  let whole = pointer
  if (whole.length > MAX_LENGTH) whole = whole.slice(0, whole.lastIndexOf('/', MAX_LENGTH))
  try {
    return `#${encodeURI(whole).replaceAll('#', '%23')}`
  } catch {
    // Half a surrogate pair has no UTF-8 form.
    return '#'
  }
}
