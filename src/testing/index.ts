export { asIssued, asKey, asSession, type KeyDesk, type SessionDesk, type TokenDesk } from './as.js'
export { badTokens, type BadToken } from './bad-tokens.js'
export { dpopClient, type DpopClient, type DpopClientOptions, type ProofOptions } from './dpop.js'
export { expectRefused, type ExpectRefusedOptions, type RefusedReply } from './expect-refused.js'
export { fakeClock, type FakeClock } from './fake-clock.js'
export { serve, type Served, type ServeOptions } from './serve.js'
export {
  storeContract,
  type ContractOptions,
  type ContractRunner,
  type ContractStore,
} from './store-contract.js'
export { localIssuer, type LocalIssuer, type LocalIssuerOptions, type MintOptions } from './tokens.js'
