/** Every way to spell the names by which a prototype is reached. */
export const PROTO_KEYS = [
  '"__proto__"',
  '"\\u005f_proto__"',
  '"_\\u005Fproto__"',
  '"__prot\\u006f__"',
  '"\\u005f\\u005f\\u0070\\u0072\\u006f\\u0074\\u006f\\u005f\\u005f"',
  '"\\u005F\\u005F\\u0070\\u0072\\u006F\\u0074\\u006F\\u005F\\u005F"',
]
const CONSTRUCTORS = ['"constructor"', '"c\\u006fnstructor"', '"\\u0063onstructo\\u0072"']
const PROTOTYPES = ['"prototype"', '"pr\\u006ftotype"', '"\\u0070rototyp\\u0065"']

/** Objects that would make everybody an administrator. */
export const POISONS: string[] = [
  ...PROTO_KEYS.map((key) => `{${key}:{"polluted":true}}`),
  ...CONSTRUCTORS.flatMap((one) => PROTOTYPES.map((two) => `{${one}:{${two}:{"polluted":true}}}`)),
]

/** Where in a document they can stand. */
export const PLACES: ((poison: string) => string)[] = [
  (poison) => poison,
  (poison) => `[${poison}]`,
  (poison) => `{"a":${poison}}`,
  (poison) => `{"a":[1,{"b":[${poison}]}]}`,
  (poison) => `{"constructor":{"a":${poison}}}`,
  (poison) => `${'{"a":'.repeat(30)}${poison}${'}'.repeat(30)}`,
]

/** All that could change without anybody's knowledge. */
export function prototypes(): unknown {
  const own = [Object, Array, Function, String, Number, Boolean, RegExp, Promise, Map, Set, Error].map(
    ({ name, prototype }) => [
      name,
      Reflect.ownKeys(prototype).map((key) => [String(key), Object.getOwnPropertyDescriptor(prototype, key)]),
    ],
  )
  return [own, Object.keys({}), ({} as { polluted?: unknown }).polluted]
}
