import { integer, knownKeys, show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import type { SecurityContext } from '../kernel/context.js'
import { defineStage } from '../kernel/define.js'
import { refuse } from '../kernel/problem.js'
import { answerWith } from '../kernel/respond.js'
import { scopeName } from '../kernel/scope.js'
import { answered, type Stage } from '../kernel/stage.js'
import { prepareAuth, type AuthSetting } from './auth-options.js'
import { metadataPath, type ProtectedResource } from './resource.js'

/** What clients may know of this API besides what its methods say. */
export interface ResourceFacts {
  /** Scopes that clients may ask for: `scopes_supported`. Default: not said. */
  scopesSupported?: readonly string[]
  /** What people call this API: `resource_name`. Default: not said. */
  resourceName?: string
  /** A page for developers: `resource_documentation`, an https URL. Default: not said. */
  resourceDocumentation?: string
  /** A page on how its data may be used: `resource_policy_uri`, an https URL. Default: not said. */
  resourcePolicyUri?: string
  /** Its terms of service: `resource_tos_uri`, an https URL. Default: not said. */
  resourceTosUri?: string
  /** How long clients may keep the document, in seconds, up to a day. Default 600. 0: not at all. */
  maxAgeSeconds?: number
}

export interface ResourceMetadataOptions extends ResourceFacts {
  /** Whose `resource` is described: the methods that protect it. Required; in `secureApi()` it is the setting `auth`. */
  auth: AuthSetting
}

const PAGES = {
  resourceDocumentation: 'resource_documentation',
  resourcePolicyUri: 'resource_policy_uri',
  resourceTosUri: 'resource_tos_uri',
} as const
const FACTS = ['scopesSupported', 'resourceName', 'maxAgeSeconds', ...Object.keys(PAGES)]
const DAY_SECONDS = 86_400

/**
 * Tells clients, who need no credential for it, which authorization servers have tokens for this API (RFC 9728): answers
 * GET of `/.well-known/oauth-protected-resource`, followed by the path of the `resource` that the methods name. Other
 * methods there: 405 `method-not-allowed`. What the document says comes from the methods, so that it cannot differ from them.
 *
 * @example
 * app.use(resourceMetadata({ auth: [bearer({ issuer, audience, resource: 'https://api.example.com' })] }))
 * @throws ConfigError where no method has a `resource`, or two have different ones
 */
export const resourceMetadata = defineStage(
  'resourceMetadata',
  (options: ResourceMetadataOptions): Omit<Stage, 'name'> => {
    knownKeys('resourceMetadata', options, ['auth', ...FACTS])
    const { maxAgeSeconds = 600 } = options
    integer('resourceMetadata.maxAgeSeconds', maxAgeSeconds, { min: 0, max: DAY_SECONDS })
    const resource = resourceOf(options.auth)
    const document = { ...described(resource), ...facts(options) }
    const path = metadataPath(resource[0]!.url)
    const body = JSON.stringify(document)
    const fields = {
      'Content-Type': 'application/json; charset=utf-8',
      'Cache-Control': maxAgeSeconds === 0 ? 'no-store' : `public, max-age=${maxAgeSeconds}`,
      'Content-Length': String(Buffer.byteLength(body)),
    }

    return {
      enter(ctx) {
        if (ctx.path !== path) return
        const { method } = ctx.req
        if (method !== 'GET' && method !== 'HEAD') {
          return refuse('method-not-allowed', { rule: 'resource-metadata', headers: { Allow: 'GET, HEAD' } })
        }
        ctx.note('resource-metadata', 'everybody may read it')
        answer(ctx, fields, body)
        return answered
      },

      describe: () => ({ path, document }),
    }
  },
)

/** The row of `secureApi()`, where the methods are known. @throws ConfigError as `resourceMetadata` does */
export function resourceMetadataFor(
  auth: AuthSetting,
  facts: ResourceFacts,
): ReturnType<typeof resourceMetadata> {
  knownKeys('resourceMetadata', facts, FACTS)
  return resourceMetadata({ ...facts, auth })
}

function answer(ctx: SecurityContext, fields: Readonly<Record<string, string>>, body: string): void {
  ctx.decided = true
  for (const name in fields) ctx.head.setHeader(name, fields[name]!)
  answerWith(ctx, 200, body)
}

function resourceOf(setting: unknown): readonly ProtectedResource[] {
  if (setting === undefined || setting === false) {
    throw new ConfigError('resourceMetadata needs auth: it describes what the methods of auth protect')
  }
  const { methods } = prepareAuth(setting as AuthSetting)
  const named = methods.flatMap(({ resource }) => resource ?? [])
  if (named.length === 0) {
    throw new ConfigError(
      "resourceMetadata needs a method with a `resource`, such as bearer({ ..., resource: 'https://api.example.com' })",
    )
  }
  const other = named.find(({ url }) => url !== named[0]!.url)
  if (other === undefined) return named
  throw new ConfigError(
    'resourceMetadata describes one resource, and the methods of auth name two; give all the same `resource`',
  )
}

function described(resource: readonly ProtectedResource[]): object {
  const issuers = new Set(resource.flatMap((one) => one.issuers).filter((name) => /^https?:/.test(name)))
  const algorithms = new Set(resource.flatMap(({ dpop }) => dpop?.algorithms ?? []))
  return {
    resource: resource[0]!.url,
    // RFC 9728 section 2: a list without an entry is left out.
    ...(issuers.size > 0 && { authorization_servers: [...issuers] }),
    bearer_methods_supported: ['header'],
    ...(resource.every(({ certificateBound }) => certificateBound === true) && {
      tls_client_certificate_bound_access_tokens: true,
    }),
    ...(algorithms.size > 0 && { dpop_signing_alg_values_supported: [...algorithms] }),
    ...(resource.every(({ dpop }) => dpop?.required === true) && { dpop_bound_access_tokens_required: true }),
  }
}

function facts(options: ResourceFacts): object {
  const { scopesSupported, resourceName } = options
  const pages = Object.entries(PAGES).flatMap(([option, member]) => {
    const url = options[option as keyof typeof PAGES]
    return url === undefined ? [] : [[member, page(`resourceMetadata.${option}`, url)]]
  })
  return {
    ...(scopesSupported !== undefined && { scopes_supported: scopes(scopesSupported) }),
    ...(resourceName !== undefined && { resource_name: name(resourceName) }),
    ...(Object.fromEntries(pages) as object),
  }
}

function scopes(given: unknown): readonly string[] {
  if (!Array.isArray(given) || given.length === 0) {
    throw new ConfigError(`resourceMetadata.scopesSupported must list at least one scope, got ${show(given)}`)
  }
  return given.map((one) => scopeName('resourceMetadata.scopesSupported', one))
}

function name(given: unknown): string {
  if (typeof given === 'string' && given !== '') return given
  throw new ConfigError(`resourceMetadata.resourceName must be a text, got ${show(given)}`)
}

function page(option: string, given: unknown): string {
  if (typeof given === 'string' && URL.canParse(given) && new URL(given).protocol === 'https:') return given
  throw new ConfigError(`${option} must be an https URL, got ${show(given)}`)
}
