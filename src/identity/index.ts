export { apiKey, type ApiKeyOptions, type ApiKeyStoreOptions } from './api-key.js'
export {
  apiKeys,
  type ApiKeyInfo,
  type ApiKeys,
  type ApiKeysOptions,
  type CreateKeyOptions,
  type ListKeysFilter,
  type NewApiKey,
  type RotateKeyOptions,
} from './api-keys.js'
export { auth, type AuthNarrowing, type AuthOptions, type AuthSetting } from './auth.js'
export {
  bearer,
  type BearerAuth,
  type BearerClaims,
  type BearerOptions,
  type IssuerOptions,
  type IssuerTermsOptions,
} from './bearer.js'
export {
  introspection,
  type ClientOptions,
  type IntrospectionIssuerOptions,
  type IntrospectionOptions,
  type PrivateKey,
} from './introspection.js'
export type { DpopMode, DpopNonceOptions, DpopOptions } from './dpop-options.js'
export type { Method, MethodMiddleware } from './method.js'
export { stepUp, type StepUpOptions } from './step-up.js'
export type { ProtectedResource } from './resource.js'
export { mtls, type MtlsOptions } from './mtls.js'
export type { CertificateAuthority } from './certificate-authorities.js'
export type { CertificateField } from './certificate-field.js'
export type { CertificateName } from './certificate-names.js'
export type { CertificateSource } from './client-certificate.js'
export { resourceMetadata, type ResourceFacts, type ResourceMetadataOptions } from './resource-metadata.js'
export {
  revocations,
  type Revocable,
  type Revocation,
  type Revocations,
  type RevocationsOptions,
  type Revoked,
} from './revocation.js'
export type { FactorHooks, FactorProof } from './factor-handler.js'
export {
  totp,
  type Totp,
  type TotpConfirmation,
  type TotpEnrolment,
  type TotpHandlers,
  type TotpOptions,
  type TotpStatus,
} from './totp.js'
export { basic, type BasicOptions, type BasicUser } from './basic.js'
export { hashPassword, verifyPassword, type HashPasswordOptions } from './passwords.js'
export { session, type SessionMiddleware, type SessionOptions } from './session.js'
export type { RevokeAllOptions, RevokeOptions, RevokeSidOptions, SessionInfo, Sessions } from './sessions.js'
export type { LoginOptions, SessionSubject } from './session-request.js'
export {
  tokens,
  type IssueOptions,
  type RenewalRequest,
  type RotateKeysOptions,
  type SigningKeyRingOptions,
  type TokenEndpoints,
  type TokenHandlers,
  type TokenResponse,
  type Tokens,
  type TokensOptions,
} from './tokens.js'
export {
  webauthn,
  type Attestation,
  type PasskeyInfo,
  type PasskeyOwner,
  type Webauthn,
  type WebauthnHandlers,
  type WebauthnOptions,
} from './webauthn.js'
export { sso, type Sso, type SsoClientOptions, type SsoHandlers, type SsoOptions } from './sso.js'
