/** Every name that an object has from its prototypes; of a record that inherits nothing, none. */
export function inherited(object: unknown): PropertyKey[] {
  const names: PropertyKey[] = []
  let at = Object.getPrototypeOf(object) as object | null
  for (; at !== null; at = Object.getPrototypeOf(at) as object | null) names.push(...Reflect.ownKeys(at))
  return names
}
